rule report:
    input:
        tables(),
    output:
        page=report(
            f"{RESULTS}/report/index.html",
            caption="../report/page.rst",
            category="Report",
            labels={"page": "index.html"},
        ),
        headline=f"{RESULTS}/report/headline.txt",
    params:
        root=RESULTS,
        flags=flags(config["report"]),
        version=VERSIONS["report"],
    log:
        "logs/report/report.log",
    benchmark:
        "logs/report/report.tsv"
    threads: 1
    priority: 20
    resources:
        mem_mb=memory(4000),
        runtime=minutes(60),
    retries: 0
    conda:
        "../../envs/core.yaml"
    message:
        "report: tables, plots and pictures on one page"
    shell:
        "exec python -m rsfiqa report {params.root} {params.flags} > {log} 2>&1"
