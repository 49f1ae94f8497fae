rule extract:
    input:
        outdated_shard("extract"),
        manifest=f"{RESULTS}/{{dataset}}/manifest.parquet",
    output:
        product=f"{RESULTS}/{{dataset}}/extract/{{shard}}.safetensors",
        failures=f"{RESULTS}/{{dataset}}/extract/{{shard}}.failures.parquet",
        stats=f"{RESULTS}/{{dataset}}/extract/{{shard}}.stats.json",
    log:
        f"{LOGS}/extract/{{dataset}}/{{shard}}.log",
    benchmark:
        f"{LOGS}/extract/{{dataset}}/{{shard}}.tsv"
    priority: 50
    conda:
        "../../envs/core.yaml"
    threads: 1
    resources:
        gpu=config["gpus"]["extract"],
        mem_mb=memory(3000),
        runtime=minutes(240),
    params:
        folder=subpath(input.manifest, parent=True),
        flags=stage_flags("extract"),
        hub=config["extract"]["weights"] == HUB,  # whose weights cannot be compared
    message:
        "extract {wildcards.dataset} {wildcards.shard}: images to backbone features"
    shell:
        "python -m rsfiqa extract {params.folder:q} --replace --shard {wildcards.shard} {params.flags} > {log:q} 2>&1"
