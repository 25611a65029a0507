# Limits of ocirun where cgroup v2 has its controllers; prints what limits.expected says. Run as root by sh.
# limits.sh DIRECTORY [GROUP]: an empty one, and the group below which it works ("/a", default: the root). Containers get
# the machine's /usr.
cd "$1" && mkdir -p rootfs/usr rootfs/proc rootfs/dev rootfs/sys rootfs/go go || exit 1
chmod 755 . # for root of a user namespace
for name in bin lib lib64; do ln -s usr/$name rootfs/$name; done
path=${2:-}/limits-test
group=/sys/fs/cgroup$path

# config RESOURCES COMMAND [MOUNTS [NAMESPACES [LINUX]]]: the last three are appended to what every container has.
config() {
    cat >config.json <<END
{"ociVersion": "1.1.0", "root": {"path": "rootfs"}, "process": {"cwd": "/", "args": ["/usr/bin/busybox", "sh", "-c", "$2"],
 "env": ["PATH=/usr/bin"], "capabilities": {"bounding": ["CAP_MKNOD"], "permitted": ["CAP_MKNOD"], "effective": ["CAP_MKNOD"]}},
 "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/usr", "source": "/usr", "options": ["rbind", "ro"]},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["mode=755"]}${3:-}],
 "linux": {"cgroupsPath": "$path/box", "resources": $1${5:-},
           "namespaces": [{"type": "mount"}, {"type": "pid"}, {"type": "cgroup"}${4:-}]}}
END
}
show() { for file; do echo "$file=$(cat $group/box/$file)"; done; }
oci() { ocirun --root "$PWD/state" "$@"; }
# await COMMAND...: until it succeeds, at most a minute or two.
await() {
    tries=0
    until "$@" >/dev/null 2>&1; do
        tries=$((tries + 1))
        [ $tries -lt 400 ] || { echo "waited in vain for: $*"; return 1; }
        busybox sleep 0.2
    done
}
is_running() { oci state box | grep -q running; }
gone() { [ ! -e $group ] && [ -z "$(ls state)" ] && echo gone; }

echo "== every limit"
config '{"memory": {"limit": 33554432, "reservation": 8388608, "swap": 41943040},
 "cpu": {"shares": 2048, "quota": 20000, "period": 40000, "burst": 5000, "cpus": "0", "mems": "0"}, "pids": {"limit": 20},
 "hugepageLimits": [{"pageSize": "2MB", "limit": 4194304}], "blockIO": {"weight": 500},
 "unified": {"memory.high": "25165824"}}' 'busybox sleep 1000'
oci run -d box </dev/null >/dev/null
show memory.max memory.low memory.swap.max memory.high cpu.weight cpu.max cpu.max.burst cpuset.cpus cpuset.mems pids.max \
    hugetlb.2MB.max hugetlb.2MB.rsvd.max io.weight

echo "== update"
oci update --memory 50331648 --memory-swap 50331648 --cpu-quota 10000 --pids-limit 30 box
show memory.max memory.swap.max cpu.max pids.max
oci update --cpu-period 80000 box && show cpu.max
oci update --cpu-quota 20000 --cpu-burst 0 box && show cpu.max cpu.max.burst
echo '{"memory": {"limit": 4096, "checkBeforeUpdate": true}}' | oci update -r - box 2>&1 | sed 's/[0-9]* bytes/N bytes/'
oci update --cpu-quota -1 --pids-limit -1 box && show cpu.max pids.max
oci events --stats box | grep -o '"limit":50331648'

echo "== pause"
oci pause box && oci state box | grep -o '"paused"' && grep frozen $group/box/cgroup.events
oci resume box && oci state box | grep -o '"running"'
oci delete --force box && gone

echo "== pids"
config '{"pids": {"limit": 3}}' 'busybox sleep 1000 & busybox sleep 1000 & busybox sleep 1000 & busybox sleep 1000 & true'
oci run box 2>&1 | grep -o "can't fork"

echo "== memory"
config '{"memory": {"limit": 16777216, "swap": 16777216}}' \
    'until [ -e /go/now ]; do busybox sleep 0.1; done; busybox dd if=/dev/zero of=/dev/null bs=64M count=1' \
    ", {\"destination\": \"/go\", \"source\": \"$PWD/go\", \"options\": [\"bind\"]}"
# The group is kept until what it counted has been read; both end by themselves.
(oci run --keep box </dev/null >/dev/null 2>&1; echo "exit $?" >end) &
await is_running
oci events --interval 1m box >events &
await grep stats events
touch go/now
wait
oci delete box
cat end
grep -o '"type":"oom"' events

echo "== devices"
config '{"devices": [{"allow": false, "access": "rwm"}]}' \
    'busybox mknod /dev/b c 4 65; for f in b null; do (true </dev/$f) 2>/dev/null; echo read $f $?; (true >/dev/$f) 2>/dev/null; echo write $f $?; done'
oci run box

# With a user namespace and a writable mount of its group it makes a group of its own there; the limit stays ours.
echo "== delegation"
chown -h 100000:100000 rootfs rootfs/*
ids='[{"containerID": 0, "hostID": 100000, "size": 65536}]'
config '{"pids": {"limit": 50}}' \
    'cd /sys/fs/cgroup; busybox mkdir below && echo 0 >below/cgroup.procs && echo +pids >cgroup.subtree_control && busybox cat below/pids.max; (echo 9 >pids.max) 2>/dev/null; echo limit $?' \
    ', {"destination": "/sys", "type": "tmpfs", "source": "tmpfs"},
       {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup"}' \
    ', {"type": "user"}' ", \"uidMappings\": $ids, \"gidMappings\": $ids"
oci run box

echo "== refused"
chown -h 0:0 rootfs rootfs/*
config '{"rdma": {"no_such": {"hcaHandles": 1}}}' 'true'
oci run box 2>&1 | sed "s|$path|PATH|"
config '{"cpu": {"cpus": "4095"}}' 'true'
oci run box 2>&1 | sed "s|$path|PATH|"
config '{"unified": {"cgroup.max.depth": "3"}}' 'true'
oci run box 2>&1 | sed 's/.*unified/unified/; s/ (.*//'
gone
