rule prepare:
    output:
        manifest=f"{RESULTS}/{{dataset}}/manifest.parquet",
        failures=f"{RESULTS}/{{dataset}}/manifest.failures.parquet",
        stats=f"{RESULTS}/{{dataset}}/manifest.stats.json",
    log:
        "logs/prepare/{dataset}.log",
    benchmark:
        "logs/prepare/{dataset}.tsv"
    priority: 90
    conda:
        "../../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=minutes(60),
    params:
        folder=subpath(output.manifest, parent=True),
        flags=prepare_flags,
        version=VERSIONS["prepare"],
    message:
        "prepare {wildcards.dataset}: list images and scores"
    shell:
        "python -m rsfiqa prepare {params.folder:q} {params.flags} > {log:q} 2>&1"
