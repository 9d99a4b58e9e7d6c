/* SPDX-License-Identifier: GPL-2.0 */
/* start.c as a string. */
	.section .rodata
	.globl	program_start
program_start:
	.incbin "program/start.c"
	.byte	0
	.section .note.GNU-stack, "", @progbits
