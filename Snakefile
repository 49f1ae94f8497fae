# RSFIQA: images -> regions -> captions -> embeddings -> trained models -> tables and a report.
# Options: config.yaml. A rule per stage: workflow/rules/<stage>.smk.
from snakemake.utils import min_version

min_version("9.27")


configfile: f"{workflow.basedir}/config.yaml"


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"


rule all:
    default_target: True
    input:
        f"{RESULTS}/report/index.html",


include: "workflow/rules/prepare.smk"
include: "workflow/rules/segment.smk"
include: "workflow/rules/caption.smk"
include: "workflow/rules/embed.smk"
include: "workflow/rules/extract.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/benchmark.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/teach.smk"
include: "workflow/rules/score.smk"


onerror:
    publish_report()
