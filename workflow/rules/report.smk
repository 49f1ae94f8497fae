rule report:
    input:
        outdated(outdated_report),
        all_tables(),
    output:
        page=report(
            f"{RESULTS}/report/index.html",
            caption="../report/page.rst",
            category="Results",
            labels={"file": "tables, plots and pictures"},
        ),
        headline=report(
            f"{RESULTS}/report/headline.txt",
            caption="../report/headline.rst",
            category="Results",
            labels={"file": "first table as text"},
        ),
    log:
        f"{LOGS}/report/report.log",
    benchmark:
        f"{LOGS}/report/report.tsv"
    priority: 20
    conda:
        "../../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=memory(4000),
        runtime=minutes(60),
    params:
        root=subpath(output.headline, ancestor=2),
        flags=untracked(
            lambda wildcards: flags(config["report"] | {"table": table_names()})
        ),
    message:
        "report: tables, plots and pictures on one page"
    shell:
        "python -m rsfiqa report {params.root:q} {params.flags} > {log:q} 2>&1"
