rule segment:
    input:
        outdated_shard("segment"),
        manifest=f"{RESULTS}/{{dataset}}/manifest.parquet",
    output:
        product=f"{RESULTS}/{{dataset}}/segment/{{shard}}.h5",
        failures=f"{RESULTS}/{{dataset}}/segment/{{shard}}.failures.parquet",
        stats=f"{RESULTS}/{{dataset}}/segment/{{shard}}.stats.json",
    log:
        f"{LOGS}/segment/{{dataset}}/{{shard}}.log",
    benchmark:
        f"{LOGS}/segment/{{dataset}}/{{shard}}.tsv"
    priority: 80
    conda:
        "../../envs/core.yaml"
    threads: segment_threads(config["segment"])
    resources:
        gpu=config["gpus"]["segment"],
        mem_mb=memory(2000),
        runtime=minutes(240),
    params:
        folder=subpath(input.manifest, parent=True),
        flags=stage_flags("segment"),
    message:
        "segment {wildcards.dataset} {wildcards.shard}: images to regions"
    shell:
        "python -m rsfiqa segment {params.folder:q} --replace --shard {wildcards.shard} {params.flags} > {log:q} 2>&1"
