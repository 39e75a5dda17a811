# The first process of a host; its argument is the host's folder. What it mounts
# stays in its mount namespace. It ends when its standard input does.
set -e
dir=$1
mount --make-rslave /
mount -t proc proc /proc
mkdir "$dir/groups" "$dir/etc"
mount --rbind /sys/fs/cgroup "$dir/groups"
mount -t sysfs sysfs /sys
mount --rbind "$dir/groups" /sys/fs/cgroup
umount -l "$dir/groups"
mount -t tmpfs -o mode=0755 etc "$dir/etc"
cp -a /etc/. "$dir/etc/"
mount --bind "$dir/etc" /etc
rm -rf /etc/docker
mount -t tmpfs -o mode=0755 run /run
mkdir "$dir/lib"
mount --bind "$dir/lib" /var/lib
mount -t tmpfs -o mode=0755 programs /usr/local/sbin
mount --make-rshared /
ip link set lo up
hostname throwaway
echo dockremap:x:64123:64123::/:/bin/false >>/etc/passwd
echo dockremap:x:64123: >>/etc/group
for user in alice:61001 bob:61002 mallory:61003 carol:61004; do
	echo "${user%:*}:x:${user#*:}:${user#*:}::/:/bin/false" >>/etc/passwd
	echo "${user%:*}:x:${user#*:}:" >>/etc/group
done
sed -i /^docker:/d /etc/group
echo docker:x:64124:alice,bob,mallory,carol >>/etc/group
echo dockremap:1610612736:65536 >/etc/subuid
cp /etc/subuid /etc/subgid
: >"$dir/ready"
cat >/dev/null
