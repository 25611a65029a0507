# Limits of ocirun where cgroup v2 has its controllers; prints what limits.expected says. Run as root by sh.
# limits.sh DIRECTORY: an empty one. Containers get the machine's /usr.
cd "$1" && mkdir -p rootfs/usr rootfs/proc rootfs/dev rootfs/sys || exit 1
for name in bin lib lib64; do ln -s usr/$name rootfs/$name; done
group=/sys/fs/cgroup/limits-test

# config RESOURCES COMMAND [MOUNTS [NAMESPACES [LINUX]]]: the last three are appended to what every container has.
config() {
    cat >config.json <<END
{"ociVersion": "1.1.0", "root": {"path": "rootfs"}, "process": {"cwd": "/", "args": ["/usr/bin/busybox", "sh", "-c", "$2"],
 "env": ["PATH=/usr/bin"], "capabilities": {"bounding": ["CAP_MKNOD"], "permitted": ["CAP_MKNOD"], "effective": ["CAP_MKNOD"]}},
 "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/usr", "source": "/usr", "options": ["rbind", "ro"]},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["mode=755"]}${3:-}],
 "linux": {"cgroupsPath": "/limits-test/box", "resources": $1${5:-},
           "namespaces": [{"type": "mount"}, {"type": "pid"}, {"type": "cgroup"}${4:-}]}}
END
}
show() { for file; do echo "$file=$(cat $group/box/$file)"; done; }
oci() { ocirun --root "$PWD/state" "$@"; }
# await COMMAND...: until it succeeds, at most 20 s or so.
await() {
    tries=0
    until "$@" >/dev/null 2>&1; do
        tries=$((tries + 1))
        [ $tries -lt 100 ] || { echo "waited in vain for: $*"; return 1; }
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
config '{"pids": {"limit": 3}}' 'busybox sleep 1 & busybox sleep 1 & busybox sleep 1 & busybox sleep 1 & wait'
oci run box 2>&1 | grep -o "can't fork"

echo "== memory"
config '{"memory": {"limit": 16777216, "swap": 16777216}}' 'read x; busybox dd if=/dev/zero of=/dev/null bs=64M count=1'
mkfifo go
(oci run box <go >/dev/null 2>&1; echo "exit $?" >end) &
exec 3<>go
await is_running
oci events --interval 1m box >events &
await grep stats events
echo >&3
await grep exit end
await grep oom events
exec 3>&-
oci delete --force box
cat end
grep -o '"type":"oom"' events

echo "== devices"
config '{"devices": [{"allow": false, "access": "rwm"},
 {"allow": true, "type": "c", "major": 4, "minor": 64, "access": "r"}]}' \
    'busybox mknod /dev/a c 4 64; busybox mknod /dev/b c 4 65; for f in a b null; do (true </dev/$f) 2>/dev/null; echo read $f $?; (true >/dev/$f) 2>/dev/null; echo write $f $?; done'
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
oci run box 2>&1
config '{"cpu": {"cpus": "4095"}}' 'true'
oci run box 2>&1
config '{"unified": {"cgroup.max.depth": "3"}}' 'true'
oci run box 2>&1 | sed 's/.*unified/unified/; s/ (.*//'
gone
