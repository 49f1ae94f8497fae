#!/usr/bin/env bash
# running, success or failed: the state of the job with the given number. A job that the scheduler
# cannot tell of, because it does not answer, counts as running; one that it has forgotten as failed.
state=$(scontrol show job "$1" 2>&1 | grep -oP 'JobState=\K\w+|Invalid job id')
case "$state" in
  COMPLETED) echo success ;;
  BOOT_FAIL | CANCELLED | DEADLINE | FAILED | NODE_FAIL | OUT_OF_MEMORY | TIMEOUT | "Invalid job id") echo failed ;;
  *) echo running ;;
esac
