/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Stands in for the installed <linux/altvm.h>, so that -Ilib is all that a
 * build inside this tree needs.  "make install" installs uapi/altvm.h itself.
 */
#include "../../uapi/altvm.h"
