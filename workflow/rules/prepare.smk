rule prepare:
    input:
        outdated(outdated_manifest),
    output:
        manifest=f"{RESULTS}/{{dataset}}/manifest.parquet",
        failures=f"{RESULTS}/{{dataset}}/manifest.failures.parquet",
        stats=f"{RESULTS}/{{dataset}}/manifest.stats.json",
    log:
        f"{LOGS}/prepare/{{dataset}}.log",
    benchmark:
        f"{LOGS}/prepare/{{dataset}}.tsv"
    priority: 90
    conda:
        "../../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=minutes(60),
    params:
        folder=subpath(output.manifest, parent=True),
        flags=untracked(prepare_flags),
    message:
        "prepare {wildcards.dataset}: list images and scores"
    shell:
        "python -m rsfiqa prepare {params.folder:q} --replace {params.flags} > {log:q} 2>&1"
