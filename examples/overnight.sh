#!/bin/sh
# Scan a share every evening. For cron:  0 20 * * *  /opt/cxr/overnight.sh /mnt/pacs-export /results
# Running it again continues where the last night ended and reads only what is new or changed.
set -u
if [ $# -ne 2 ]; then
  echo "usage: overnight.sh STUDIES_FOLDER RESULTS_FOLDER" >&2
  exit 2
fi
studies=$1
results=$2
# Low priority: the machine may have other work in the evening.
nice -n 10 cxr-scan "$studies" --output "$results"
code=$?
case $code in
  0) echo "Done: $results/report/index.html" ;;
  3) echo "Done, but some files could not be read: $results/report/index.html#failed" ;;
  130) echo "Interrupted; the next run continues." ;;
  *) echo "The scan did not run (exit code $code); its message says what to do." >&2 ;;
esac
exit $code
