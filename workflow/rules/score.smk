rule score:
    input:
        run_summaries,


# its shards are known once the pictures are listed, which the login node need not do
checkpoint score_plan:
    input:
        outdated(outdated_plan),
    output:
        plan=f"{RESULTS}/{{run}}/plan/plan.json",
    log:
        f"{LOGS}/score/{{run}}/plan.log",
    benchmark:
        f"{LOGS}/score/{{run}}/plan.tsv"
    priority: 90
    conda:
        "../../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=memory(4000),
        runtime=minutes(60),
    params:
        folder=subpath(output.plan, ancestor=2),
        paths=untracked(run_paths),
        flags=untracked(plan_flags),
    message:
        "score {wildcards.run}: list the pictures"
    shell:
        "python -m rsfiqa plan {params.folder:q} {params.paths:q} {params.flags} > {log:q} 2>&1"


# updated, not made anew: the table keeps the pictures that are scored
rule score_shard:
    input:
        outdated(outdated_scores),
        pictures=f"{RESULTS}/{{run}}/plan/{{shard}}.parquet",
    output:
        table=update(f"{RESULTS}/{{run}}/score/{{shard}}.parquet"),
        regions=update(f"{RESULTS}/{{run}}/score/{{shard}}.regions.parquet"),
        failures=f"{RESULTS}/{{run}}/score/{{shard}}.failures.parquet",
        stats=f"{RESULTS}/{{run}}/score/{{shard}}.stats.json",
    log:
        f"{LOGS}/score/{{run}}/{{shard}}.log",
    benchmark:
        f"{LOGS}/score/{{run}}/{{shard}}.tsv"
    priority: 80
    conda:
        "../../envs/core.yaml"
    threads: config["score"]["workers"]
    resources:
        gpu=config["gpus"]["score"],
        mem_mb=memory(1000 + 1500 * config["score"]["workers"]),
        runtime=minutes(240),
    params:
        flags=untracked(score_flags),
    message:
        "score {wildcards.run} {wildcards.shard}: pictures to scores"
    shell:
        "python -m rsfiqa score {input.pictures:q} --output={output.table:q} --as-shard {params.flags} > {log:q} 2>&1"


rule score_rank:
    input:
        run_tables,
    output:
        summary=f"{RESULTS}/{{run}}/score/summary.json",
    log:
        f"{LOGS}/score/{{run}}/rank.log",
    benchmark:
        f"{LOGS}/score/{{run}}/rank.tsv"
    priority: 70
    conda:
        "../../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=memory(4000),
        runtime=minutes(60),
    params:
        folder=subpath(output.summary, parent=True),
    message:
        "score {wildcards.run}: percentiles over all shards"
    shell:
        "python -m rsfiqa rank {params.folder:q} > {log:q} 2>&1"
