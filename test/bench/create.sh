#!/usr/bin/env bash
# Creates (or destroys) VMs on several hosts at once, as one would without vmfabric: all in parallel, one ssh for each, the image
# already on every host.
#
#   create.sh create|destroy PLAN FOLDER IMAGE FORMAT SIZE SSH...
#
# PLAN has a line for each VM: user@host, name, the file with its domain's XML. FOLDER with IMAGE is on the hosts. SSH... is the
# command that logs in.
set -euo pipefail

verb=$1 plan=$2 folder=$3 image=$4 format=$5 size=$6
ssh=("${@:7}")

create() { # HOST NAME XML
	"${ssh[@]}" "$1" "qemu-img create -q -f qcow2 -F $format -b $folder/$image $folder/$2.qcow2 $size &&
		virsh -q -c qemu:///system define /dev/stdin && virsh -q -c qemu:///system start $2" < "$3"
}

destroy() { # HOST NAME XML
	"${ssh[@]}" "$1" "virsh -q -c qemu:///system destroy $2; virsh -q -c qemu:///system undefine $2; rm -f $folder/$2.qcow2" < /dev/null
}

pids=()
while read -r host name xml; do
	"$verb" "$host" "$name" "$xml" &
	pids+=($!)
done < "$plan"

failed=0
for pid in "${pids[@]}"; do wait "$pid" || failed=1; done
exit "$failed"
