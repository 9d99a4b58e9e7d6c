// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* The environment variables, as altvm.1 describes them. */
#include <string.h>

#include "preload.h"

/* The value of @name, or NULL if it is not set or empty. */
static const char *value_of(char *const *env, const char *name)
{
	size_t length = strlen(name);

	for (; env && *env; env++) {
		if (!strncmp(*env, name, length) && (*env)[length] == '=' &&
		    (*env)[length + 1])
			return *env + length + 1;
	}
	return NULL;
}

static bool refuse(const char *name, const char *value, const char *expected)
{
	const char *const parts[] = {
		name, "=", value, ": it must be ", expected, NULL,
	};

	message(parts);
	return false;
}

/* Digits, and perhaps one of K, M, G, T. */
static bool parse_size(const char *text, size_t *size)
{
	static const char units[] = "KMGT";
	const char *unit;
	size_t value = 0;

	do {
		if (*text < '0' || *text > '9' || value > (SIZE_MAX - 9) / 10)
			return false;
		value = value * 10 + (size_t)(*text++ - '0');
	} while (*text >= '0' && *text <= '9');
	if (*text) {
		unit = strchr(units, *text & ~('a' ^ 'A'));
		if (!unit || !*unit || text[1])
			return false;
		for (; unit >= units; unit--) {
			if (value > SIZE_MAX / 1024)
				return false;
			value *= 1024;
		}
	}
	*size = value;
	return true;
}

static bool read_size(char *const *env, const char *name, size_t *size)
{
	const char *value = value_of(env, name);

	return !value || parse_size(value, size) ||
	       refuse(name, value, "a number of bytes, as 65536 or 64K");
}

static bool read_switch(char *const *env, const char *name, bool *on)
{
	const char *value = value_of(env, name);

	*on = value && !strcmp(value, "1");
	return !value || *on || !strcmp(value, "0") ||
	       refuse(name, value, "0 or 1");
}

static bool read_stats(char *const *env, const char **file)
{
	const char *value = value_of(env, "ALTVM_STATS");

	*file = value && strcmp(value, "0") ? value : NULL;
	return !*file || !strcmp(value, "1") || strchr(value, '/') ||
	       refuse("ALTVM_STATS", value, "0, 1, or a file name with a /");
}

static bool read_only(char *const *env, struct config *config)
{
	const char *value = value_of(env, "ALTVM_ONLY");

	config->anon = !value || !strcmp(value, "anon");
	config->file = !value || !strcmp(value, "file");
	return config->anon || config->file ||
	       refuse("ALTVM_ONLY", value, "anon or file");
}

static bool read_fallback(char *const *env, struct config *config)
{
	const char *value = value_of(env, "ALTVM_FALLBACK");

	config->native = value && !strcmp(value, "native");
	return !value || config->native ||
	       refuse("ALTVM_FALLBACK", value, "native");
}

/**
 * config_read() - what the environment asks for
 * @config: where it is put
 * @env: the environment
 *
 * Return: true, or false and a message has been written.
 */
bool config_read(struct config *config, char *const *env)
{
	return read_only(env, config) && read_fallback(env, config) &&
	       read_stats(env, &config->stats) &&
	       read_switch(env, "ALTVM_PROC", &config->proc) &&
	       read_size(env, "ALTVM_MIN_SIZE", &config->min_size) &&
	       read_size(env, "ALTVM_WINDOW_SIZE", &config->window_size);
}
