#include "account/config.h"
#include "auth/scope.h"
#include "outpost/check.h"

static bool
is_application(const struct check *c)
{
	return c->account->auth != AUTH_LOGIN;
}

static int
claim_graph(const struct check *c, struct finding *f)
{
	if (!oauth_claims_are_graphs(&c->claims))
		return 0;
	check_put(f->cause,
	    "the token is for Microsoft Graph (aud %s), and Exchange takes "
	    "only its own",
	    c->claims.audience);
	check_put(f->hint,
	    "take 'scope' of %s out of outpost.conf, then run 'outpost %s %s'",
	    c->account->mailbox, is_application(c) ? "check" : "login",
	    c->account->mailbox);
	return -1;
}

/* What the application was granted. Roles may be missing and Exchange may
 * let it in by a role assignment of its own, hence only a warning. */
static int
claim_permission(const struct check *c, struct finding *f)
{
	const struct oauth_claims *claims = &c->claims;
	const struct account *a = c->account;
	const char *role =
	    strcmp(a->cloud, "hve") == 0 ? "Mail.Send" : "SMTP.SendAsApp";

	if (scope_has(claims->scopes, "SMTP.Send") ||
	    scope_has(claims->roles, role))
		return 0;
	check_put(f->cause,
	    "the token has no permission to send (%s): it has %s%s%s",
	    is_application(c) ? role : "SMTP.Send",
	    *claims->scopes != '\0' ? claims->scopes : "",
	    *claims->roles != '\0' ? claims->roles : "",
	    *claims->scopes == '\0' && *claims->roles == '\0' ? "none" : "");
	if (is_application(c))
		check_put(f->hint,
		    "add %s to the application's API permissions and let an "
		    "administrator open %s/%s/adminconsent?client_id=%s; or "
		    "run 'New-ManagementRoleAssignment -Role \"Application "
		    "SMTP.SendAsApp\" -App %s' in Exchange Online PowerShell",
		    role, a->authority,
		    a->tenant != NULL ? a->tenant : "TENANT", claims->client_id,
		    claims->object_id);
	else
		check_put(f->hint,
		    "add SMTP.Send to the application's API permissions, then "
		    "run 'outpost login %s'",
		    a->mailbox);
	return -1;
}

static int
claim_user(const struct check *c, struct finding *f)
{
	const char *user = c->claims.user, *mailbox = c->account->mailbox;

	if (*user == '\0' || strcasecmp(user, mailbox) == 0)
		return 0;
	check_put(f->cause,
	    "%s signed in, not %s: Exchange must let that user into the "
	    "mailbox",
	    user, mailbox);
	check_put(f->hint,
	    "run 'outpost login %s' and sign in as %s, or let an administrator "
	    "run 'Add-MailboxPermission -Identity %s -User %s -AccessRights "
	    "FullAccess' in Exchange Online PowerShell",
	    mailbox, mailbox, mailbox, user);
	return -1;
}

/* A claim that may keep Exchange from taking the token: -1, with cause and
 * advice. */
static int (*const claim_tests[])(const struct check *, struct finding *) = {
	claim_graph,
	claim_permission,
	claim_user,
};

#define CLAIM_TESTS (sizeof(claim_tests) / sizeof(claim_tests[0]))

int
check_claims(struct check *c)
{
	const struct oauth_claims *claims = &c->claims;

	if (!c->has_claims) {
		check_say(c, CHECK_OK,
		    "the token says nothing of itself, as those of personal "
		    "accounts do");
		return 0;
	}
	check_say(c, CHECK_OK, "aud %s, tid %s, appid %s%s%s%s%s%s%s",
	    claims->audience, claims->tenant, claims->client_id,
	    *claims->scopes != '\0' ? ", scp " : "", claims->scopes,
	    *claims->roles != '\0' ? ", roles " : "", claims->roles,
	    *claims->user != '\0' ? ", upn " : "", claims->user);
	for (size_t i = 0; i < CLAIM_TESTS; i++) {
		struct finding f = { .verdict = CHECK_WARNING };

		if (claim_tests[i](c, &f) == 0)
			continue;
		strlcpy(f.text, f.cause, sizeof(f.text));
		f.cause[0] = '\0';
		check_report(c, &f);
	}
	return 0;
}

/* "535 5.7.3" has one text for all that can be wrong: the token tells more. */
void
check_explain_refusal(const struct check *c, struct finding *f)
{
	const struct oauth_claims *claims = &c->claims;
	const char *mailbox = c->account->mailbox;

	for (size_t i = 0; c->has_claims && i < CLAIM_TESTS; i++)
		if (claim_tests[i](c, f) == -1)
			return;
	if (!is_application(c) || !c->has_claims)
		return;
	check_put(f->cause,
	    "Exchange does not know the application %s by its object id %s, or "
	    "it has no right to %s; a change needs up to an hour",
	    claims->client_id, claims->object_id, mailbox);
	check_put(f->hint,
	    "run 'New-ServicePrincipal -AppId %s -ObjectId %s' and "
	    "'Add-MailboxPermission -Identity %s -User %s -AccessRights "
	    "FullAccess' in Exchange Online PowerShell",
	    claims->client_id, claims->object_id, mailbox, claims->object_id);
}
