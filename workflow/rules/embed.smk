rule embed:
    input:
        outdated_shard("embed"),
        manifest=f"{RESULTS}/{{dataset}}/manifest.parquet",
        captions=f"{RESULTS}/{{dataset}}/caption/{{shard}}.parquet",
    output:
        product=f"{RESULTS}/{{dataset}}/embed/{{shard}}.safetensors",
        failures=f"{RESULTS}/{{dataset}}/embed/{{shard}}.failures.parquet",
        stats=f"{RESULTS}/{{dataset}}/embed/{{shard}}.stats.json",
    log:
        f"{LOGS}/embed/{{dataset}}/{{shard}}.log",
    benchmark:
        f"{LOGS}/embed/{{dataset}}/{{shard}}.tsv"
    priority: 60
    conda:
        "../../envs/core.yaml"
    threads: 1
    resources:
        gpu=config["gpus"]["embed"],
        mem_mb=memory(3000),
        runtime=minutes(240),
    params:
        folder=subpath(input.manifest, parent=True),
        flags=stage_flags("embed"),
    message:
        "embed {wildcards.dataset} {wildcards.shard}: text to vectors"
    shell:
        "python -m rsfiqa embed {params.folder:q} --replace --shard {wildcards.shard} {params.flags} > {log:q} 2>&1"
