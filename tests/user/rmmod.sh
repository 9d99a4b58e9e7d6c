#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# usage: rmmod.sh [MODULE.ko]
#
# The module cannot be removed while its device is open or mapped, and can be
# when it is not; then it can be loaded again.  By default the module is that of
# build/ for the running kernel.

n=0 bad=0
check() {
	n=$((n + 1))
	if [ "$1" = 0 ]; then
		echo "ok $n $2"
	else
		bad=$((bad + 1))
		echo "not ok $n $2"
	fi
}

loaded() { grep -q '^altvm ' /proc/modules; }

module=${1-}
if [ -z "$module" ]; then
	for f in build/*/release; do
		[ "$(cat "$f" 2>/dev/null)" = "$(uname -r)" ] || continue
		module=${f%/release}/altvm.ko
	done
fi

echo "TAP version 13"
echo "1..8"
if ! loaded; then
	echo "Bail out! altvm is not loaded"
	exit 1
fi

# The device is open: here, as descriptor 9.
exec 9<> /dev/altvm
! rmmod altvm 2> /dev/null
check $? "rmmod is refused while the device is open"
loaded && [ -c /dev/altvm ]
check $? "the device is still there"
exec 9>&-

# A window keeps the module too, without a descriptor.
dir=$(dirname "$0")
mkfifo /tmp/altvm-rmmod.$$
"$dir/holder" < /tmp/altvm-rmmod.$$ > /tmp/altvm-rmmod-out.$$ &
holder=$!
exec 8> /tmp/altvm-rmmod.$$
while [ ! -s /tmp/altvm-rmmod-out.$$ ] && kill -0 $holder 2> /dev/null; do
	sleep 0.1
done
! rmmod altvm 2> /dev/null
check $? "rmmod is refused while a window is mapped"
exec 8>&-
wait $holder
check $? "the window works all the while"
rm -f /tmp/altvm-rmmod.$$ /tmp/altvm-rmmod-out.$$

rmmod altvm
check $? "rmmod works when nobody uses it"
! loaded && [ ! -e /dev/altvm ]
check $? "module and device are gone"
insmod "$module"
check $? "insmod works again"
[ -c /dev/altvm ] && "$dir/query" > /dev/null 2>&1
check $? "and so does the device"
exit $bad
