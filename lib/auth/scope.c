#include "auth/scope.h"

#include "base/xalloc.h"

#define RESOURCE_END "/.default"

/* What follows the resource in a scope: granted ones may name it otherwise
 * (outlook.office.com, outlook.office365.com). */
static const char *
permission_of(const char *scope, size_t len)
{
	for (size_t i = len; i > 0; i--)
		if (scope[i - 1] == '/')
			return scope + i;
	return scope;
}

static bool
is_granted(const char *permission, size_t len, const char *granted)
{
	while (*(granted += strspn(granted, " ")) != '\0') {
		size_t word = strcspn(granted, " ");
		const char *has = permission_of(granted, word);

		if ((size_t)(granted + word - has) == len &&
		    strncasecmp(has, permission, len) == 0)
			return true;
		granted += word;
	}
	return false;
}

/* No permission of the resource: about the sign-in, or "all that is there". */
static bool
is_special(const char *permission, size_t len)
{
	static const char *const words[] = { "offline_access", "openid",
		"profile", "email", ".default" };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strlen(words[i]) == len &&
		    strncasecmp(permission, words[i], len) == 0)
			return true;
	return false;
}

bool
scope_missing(const char *asked, const char *granted, char out[SCOPE_WORD_SIZE])
{
	if (granted[strspn(granted, " ")] == '\0')
		return false;
	while (*(asked += strspn(asked, " ")) != '\0') {
		size_t word = strcspn(asked, " ");
		const char *want = permission_of(asked, word);
		size_t len = (size_t)(asked + word - want);

		if (!is_special(want, len) && !is_granted(want, len, granted)) {
			snprintf(out, SCOPE_WORD_SIZE, "%.*s", (int)len, want);
			return true;
		}
		asked += word;
	}
	return false;
}

bool
scope_has(const char *granted, const char *permission)
{
	return is_granted(permission, strlen(permission), granted);
}

char *
scope_resource(const char *scope)
{
	size_t len = strcspn(scope, " "), end = strlen(RESOURCE_END);

	if (len > end && strncmp(scope + len - end, RESOURCE_END, end) == 0)
		len -= end;
	return xstrndup(scope, len);
}
