#include "sendmail/caller.h"

#include <ctype.h>
#include <pwd.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/xalloc.h"

#define NAME_MAX_SIZE 256

/* GECOS up to the first comma; '&' stands for the capitalised login. */
static char *
full_name(const char *gecos, const char *login)
{
	struct buf name;

	buf_init(&name, NAME_MAX_SIZE);
	for (; *gecos != '\0' && *gecos != ','; gecos++) {
		if (*gecos != '&') {
			(void)buf_addc(&name, *gecos);
			continue;
		}
		(void)buf_addc(&name, (char)toupper((unsigned char)*login));
		if (*login != '\0')
			(void)buf_adds(&name, login + 1);
	}
	if (name.len == 0) {
		buf_release(&name);
		return NULL;
	}
	return buf_steal(&name);
}

void
caller_init(struct caller *c, uid_t uid)
{
	const struct passwd *entry = getpwuid(uid);
	struct timespec now;

	*c = (struct caller){ .uid = uid };
	if (entry != NULL) {
		c->login = xstrdup(entry->pw_name);
		c->full_name = full_name(entry->pw_gecos, entry->pw_name);
	}
	if (gethostname(c->host, sizeof(c->host) - 1) == -1 ||
	    c->host[0] == '\0')
		strlcpy(c->host, "localhost", sizeof(c->host));
	(void)clock_gettime(CLOCK_REALTIME, &now);
	if (localtime_r(&now.tv_sec, &c->now) != NULL)
		c->utc_offset = (int)c->now.tm_gmtoff;
	(void)snprintf(c->unique, sizeof(c->unique), "%llx.%lx.%08x%08x",
	    (unsigned long long)now.tv_sec, (unsigned long)now.tv_nsec,
	    arc4random(), arc4random());
}

void
caller_release(struct caller *c)
{
	free(c->login);
	free(c->full_name);
	c->login = c->full_name = NULL;
}

struct account_caller
caller_for_account(const struct caller *c)
{
	return (struct account_caller){ .uid = c->uid, .name = c->login };
}
