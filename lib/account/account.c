#include "account/account.h"

#include <grp.h>
#include <pwd.h>
#include <sysexits.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/xalloc.h"
#include "mail/address.h"

#define GROUPS_MAX 65536

/* Is the user a member of that group, by the system's databases? */
static bool
in_group(const char *user, const char *group_name)
{
	const struct group *group = getgrnam(group_name);
	const struct passwd *entry;
	gid_t *groups, wanted, primary;
	int count = 64, room = count;
	bool found = false;

	if (group == NULL)
		return false;
	wanted = group->gr_gid;
	if ((entry = getpwnam(user)) == NULL)
		return false;
	primary = entry->pw_gid;
	groups = xcalloc((size_t)count, sizeof(*groups));
	while (getgrouplist(user, primary, groups, &count) == -1) {
		/* It fails without need of room too, as without memory. */
		if (count <= room || count > GROUPS_MAX) {
			count = 0;
			break;
		}
		room = count;
		groups = xreallocarray(groups, (size_t)room, sizeof(*groups));
	}
	for (int i = 0; i < count && !found; i++)
		found = groups[i] == wanted;
	free(groups);
	return found;
}

/* Is the caller in a list of users and @groups? */
static bool
is_listed(const struct config_list *users, const struct account_caller *caller)
{
	if (caller->name == NULL)
		return false;
	for (size_t i = 0; i < users->count; i++) {
		const char *user = users->items[i];

		if (*user == '@' ? in_group(caller->name, user + 1)
				 : strcmp(user, caller->name) == 0)
			return true;
	}
	return false;
}

bool
account_permits(const struct config *c, const struct account *a,
    const struct account_caller *caller)
{
	if (caller->uid == 0)
		return true;
	if (!a->users_given)
		return !caller->system || a == config_default_account(c);
	return is_listed(&a->users, caller);
}

int
account_permits_token(const struct account *a,
    const struct account_caller *caller, struct error *err)
{
	if (caller->uid == 0 || is_listed(&a->token_users, caller))
		return 0;
	error_set(err, EX_NOPERM, "5.7.0",
	    "uid %ld may not have the access token of '%s'", (long)caller->uid,
	    a->mailbox);
	return error_hint(
	    err, "ask root, or to be listed in token_users of outpost.conf");
}

static bool
matches_any(const struct config_list *patterns, const char *address)
{
	for (size_t i = 0; i < patterns->count; i++)
		if (address_matches(address, patterns->items[i]))
			return true;
	return false;
}

/* May the account send as this address: is it its own, or listed in send_as? */
static bool
sends_as(const struct account *a, const char *address)
{
	return address_same_mailbox(a->mailbox, address) ||
	       matches_any(&a->send_as, address);
}

/* Is that candidate a sender of this account? */
static bool
matches(const struct account *a, const char *candidate)
{
	char *plain = address_strip_tag(candidate);
	bool same = address_same_mailbox(a->mailbox, plain);

	free(plain);
	return same || sends_as(a, candidate) ||
	       matches_any(&a->senders, candidate);
}

/* "no account for 'x'; there are: a@b, c@d" */
static int
none_found(const struct config *c, const char *candidate, bool forbidden,
    struct error *err)
{
	struct buf names;

	buf_init(&names, ERROR_HINT_SIZE / 2);
	for (size_t i = 0; i < c->account_count; i++)
		(void)buf_addf(
		    &names, "%s%s", i > 0 ? ", " : "", c->accounts[i].mailbox);
	if (forbidden) {
		error_set(err, EX_NOPERM, "5.7.1",
		    "you may not use the account for the sender '%s'",
		    candidate);
		error_hint(err,
		    "an administrator can list you under 'users' "
		    "of the account; there are: %s",
		    names.data);
	} else {
		error_set(err, EX_CONFIG, "5.1.8", "no account sends for '%s'",
		    candidate);
		error_hint(err,
		    "set 'default' in %s, or add the sender to "
		    "'senders' of one of: %s",
		    c->path, names.data);
		error_class_set(err, ERROR_HOLD, 0);
	}
	buf_release(&names);
	return -1;
}

/* The account of the first candidate that has one, and that candidate. */
static const struct account *
find(const struct config *c, const struct account_caller *caller,
    const char *const *candidates, size_t count, const char **candidate,
    bool *forbidden)
{
	for (size_t i = 0; i < count; i++)
		for (size_t j = 0; j < c->account_count; j++) {
			const struct account *a = &c->accounts[j];

			if (!matches(a, candidates[i]))
				continue;
			if (account_permits(c, a, caller)) {
				*candidate = candidates[i];
				return a;
			}
			*forbidden = true;
		}
	return NULL;
}

int
account_choose(const struct config *c, const struct account_caller *caller,
    const char *const *candidates, size_t count, struct account_choice *choice,
    struct error *err)
{
	bool forbidden = false;
	const char *candidate = NULL;
	const struct account *a;

	a = find(c, caller, candidates, count, &candidate, &forbidden);
	if (a == NULL) {
		a = config_default_account(c);
		if (a != NULL && !account_permits(c, a, caller)) {
			forbidden = true;
			a = NULL;
		}
	}
	if (a == NULL)
		return none_found(
		    c, count > 0 ? candidates[0] : "", forbidden, err);
	choice->account = a;
	choice->sender = a->mailbox;
	if (candidate != NULL && address_domain(candidate) != NULL &&
	    matches_any(&a->send_as, candidate))
		choice->sender = candidate;
	return 0;
}

int
account_authorise(const struct config *c, const struct account_caller *caller,
    const char *mailbox, const char *sender, const struct account **out,
    struct error *err)
{
	const struct account *a = config_account(c, mailbox);

	if (a == NULL) {
		error_set(err, EX_CONFIG, "5.1.8", "there is no account '%s'",
		    mailbox);
		error_hint(err, "see %s", c->path);
		return error_class_set(err, ERROR_HOLD, 0);
	}
	if (!account_permits(c, a, caller)) {
		error_set(err, EX_NOPERM, "5.7.1",
		    "you may not use the account '%s'", a->mailbox);
		return error_hint(err,
		    "an administrator can list you under "
		    "its 'users' in %s",
		    c->path);
	}
	if (!sends_as(a, sender)) {
		error_set(err, EX_NOPERM, "5.7.1",
		    "the account '%s' may not send as '%s'", a->mailbox,
		    sender);
		return error_hint(err,
		    "an administrator can list the address "
		    "under its 'send_as' in %s",
		    c->path);
	}
	*out = a;
	return 0;
}
