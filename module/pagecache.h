/* SPDX-License-Identifier: GPL-2.0 */
#ifndef ALTVM_PAGECACHE_H
#define ALTVM_PAGECACHE_H

#include "file.h"

vm_fault_t altvm_pagecache_fetch(struct altvm_file_area *fa, unsigned long addr,
				 unsigned int flags, struct page **page);
int altvm_pagecache_trylock(struct altvm_file_area *fa, unsigned long addr,
			    struct page *page);
void altvm_pagecache_wait(struct page *page);
vm_fault_t altvm_pagecache_mkwrite(struct altvm_file_area *fa,
				   unsigned long addr, struct page *page);
void altvm_pagecache_dirtied(struct altvm_file_area *fa);
bool altvm_pagecache_may_tell(struct altvm_file_area *fa);
bool altvm_pagecache_waits(struct altvm_file_area *fa, unsigned long addr);
bool altvm_pagecache_is_swapped(struct altvm_file_area *fa, unsigned long addr);
bool altvm_pagecache_has(struct altvm_file_area *fa, unsigned long addr);

#endif /* ALTVM_PAGECACHE_H */
