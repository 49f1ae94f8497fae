rule caption:
    input:
        outdated_shard("caption"),
        manifest=f"{RESULTS}/{{dataset}}/manifest.parquet",
        regions=f"{RESULTS}/{{dataset}}/segment/{{shard}}.h5",
    output:
        product=f"{RESULTS}/{{dataset}}/caption/{{shard}}.parquet",
        failures=f"{RESULTS}/{{dataset}}/caption/{{shard}}.failures.parquet",
        stats=f"{RESULTS}/{{dataset}}/caption/{{shard}}.stats.json",
    log:
        job=f"{LOGS}/caption/{{dataset}}/{{shard}}.log",
        server=f"{LOGS}/caption/{{dataset}}/{{shard}}.server.log",
    benchmark:
        f"{LOGS}/caption/{{dataset}}/{{shard}}.tsv"
    priority: 70
    conda:
        "../../envs/vllm.yaml" if OWN_SERVER else "../../envs/core.yaml"
    threads: 8 * SERVED_GPUS if OWN_SERVER else 1
    resources:
        gpu=config["gpus"]["caption"],
        mem_mb=memory(48000 + 16000 * SERVED_GPUS if OWN_SERVER else 2000),
        runtime=minutes(240),
    params:
        folder=subpath(input.manifest, parent=True),
        flags=stage_flags("caption"),
    message:
        "caption {wildcards.dataset} {wildcards.shard}: regions to ratings and text"
    shell:
        "python -m rsfiqa caption {params.folder:q} --replace --shard {wildcards.shard}"
        " --server-log {log.server:q} {params.flags} > {log.job:q} 2>&1"
