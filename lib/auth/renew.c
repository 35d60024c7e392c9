#include "auth/renew.h"

#include <sysexits.h>
#include <syslog.h>
#include <unistd.h>

#include "account/config.h"
#include "auth/certificate.h"
#include "auth/http.h"
#include "auth/identity.h"
#include "auth/oauth.h"
#include "auth/scope.h"
#include "auth/store.h"
#include "base/encode.h"
#include "base/error.h"
#include "base/log.h"
#include "token/token.h"

/* One making of a token. */
struct renewal {
	const struct config *config;
	const struct account *account;
	struct store_sign_in sign_in;    /* AUTH_LOGIN: as loaded */
	struct certificate *certificate; /* AUTH_CERTIFICATE: as loaded */
	struct identity identity;        /* AUTH_MANAGED_IDENTITY: as found */
	struct oauth oauth;
	double deadline;
	long long started; /* milliseconds since 1970 */
};

/* A kind of `auth`: where its credential comes from (as text, or by a name
 * that is its own), the request that turns it into a token, and what is kept
 * of the answer (may be NULL). */
struct grant {
	int (*load)(struct renewal *, struct buf *, struct error *);
	int (*ask)(struct renewal *, const char *credential,
	    struct oauth_token *, struct error *);
	int (*keep)(struct renewal *, const struct oauth_token *, time_t,
	    struct error *);
};

static long long
milliseconds(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

static int
load_sign_in(struct renewal *r, struct buf *credential, struct error *err)
{
	if (store_read(&r->sign_in, r->config, r->account, err) == -1)
		return -1;
	buf_adds(credential, r->sign_in.refresh_token.data);
	return 0;
}

static int
ask_sign_in(struct renewal *r, const char *refresh_token,
    struct oauth_token *answer, struct error *err)
{
	return oauth_refresh(
	    &r->oauth, refresh_token, r->deadline, answer, err);
}

/* A new refresh token may come with every answer. The old one is not
 * revoked by that, so that a crash before this loses nothing. */
static int
keep_sign_in(struct renewal *r, const struct oauth_token *answer, time_t now,
    struct error *err)
{
	struct store_sign_in *sign_in = &r->sign_in;

	if (answer->refresh_token.len > 0) {
		buf_clear(&sign_in->refresh_token);
		buf_adds(&sign_in->refresh_token, answer->refresh_token.data);
	}
	sign_in->last_used = now;
	return store_write(sign_in, r->config, r->account, err);
}

static int
load_secret(struct renewal *r, struct buf *credential, struct error *err)
{
	return store_line(r->account, r->account->client_secret_file,
	    "client secret", true, credential, err);
}

static int
ask_secret(struct renewal *r, const char *secret, struct oauth_token *answer,
    struct error *err)
{
	return oauth_client_secret(&r->oauth, secret, r->deadline, answer, err);
}

static int
load_certificate(struct renewal *r, struct buf *credential, struct error *err)
{
	unsigned char print[CERTIFICATE_PRINT_SIZE];

	if (certificate_load(&r->certificate, r->account, err) == -1 ||
	    certificate_check_time(
		r->certificate, r->account, time(NULL), err) == -1)
		return -1;
	certificate_thumbprint(r->certificate, print);
	return encode_base64url(credential, print, sizeof(print));
}

static int
ask_certificate(struct renewal *r, const char *thumbprint,
    struct oauth_token *answer, struct error *err)
{
	(void)thumbprint;
	return oauth_certificate(
	    &r->oauth, r->certificate, r->deadline, answer, err);
}

/* Read at every request: the platform replaces it every hour or so. What
 * reads it is the workload itself, so that its mode is the platform's. */
static int
load_workload(struct renewal *r, struct buf *credential, struct error *err)
{
	if (store_line(r->account, r->account->federated_token_file,
		"federated token", false, credential, err) == 0)
		return 0;
	error_hint(err,
	    "the platform writes the file: on Kubernetes look at the pod's "
	    "label azure.workload.identity/use and at the annotation of its "
	    "service account, and whether this user may read it");
	return -1;
}

static int
ask_workload(struct renewal *r, const char *assertion,
    struct oauth_token *answer, struct error *err)
{
	return oauth_assertion(&r->oauth, assertion, r->deadline, answer, err);
}

/* There is no credential: where it is asked, and as whom, names it. */
static int
load_identity(struct renewal *r, struct buf *credential, struct error *err)
{
	const char *client_id = r->account->client_id;

	if (identity_find(&r->identity, r->account, err) == -1)
		return -1;
	buf_addf(credential, "%s %s", r->identity.endpoint.data,
	    client_id == NULL ? "" : client_id);
	return 0;
}

static int
ask_identity(struct renewal *r, const char *endpoint,
    struct oauth_token *answer, struct error *err)
{
	(void)endpoint;
	return identity_token(
	    &r->identity, r->oauth.http, r->account, r->deadline, answer, err);
}

static const struct grant grants[] = {
	[AUTH_LOGIN] = { load_sign_in, ask_sign_in, keep_sign_in },
	[AUTH_SECRET] = { load_secret, ask_secret, NULL },
	[AUTH_CERTIFICATE] = { load_certificate, ask_certificate, NULL },
	[AUTH_MANAGED_IDENTITY] = { load_identity, ask_identity, NULL },
	[AUTH_WORKLOAD_IDENTITY] = { load_workload, ask_workload, NULL },
};

enum renew_choice
renew_choose(const struct token *cached, const char *rejected, time_t now)
{
	char hash[ENCODE_SHA256_HEX_SIZE];

	if (cached == NULL)
		return RENEW_MAKE;
	if (rejected != NULL) {
		token_hash(cached, hash);
		if (strcmp(hash, rejected) == 0)
			return now - cached->issued < TOKEN_REJECT_AGE
				   ? RENEW_REFUSE
				   : RENEW_MAKE;
	}
	if (cached->refresh_in != 0 && cached->refresh_in <= now)
		return RENEW_EARLY;
	return RENEW_USE;
}

static int
refuse_young(const struct account *account, const struct token *cached,
    time_t now, struct error *err)
{
	error_set(err, EX_NOPERM, "4.7.0",
	    "the mail server refuses the access token of '%s', which is only "
	    "%lld seconds old: a newer one would fare no better",
	    account->mailbox, (long long)(now - cached->issued));
	error_hint(err,
	    "SMTP AUTH may be switched off for '%s', or the permission to "
	    "send as it is missing: see README, setting it up",
	    account->mailbox);
	return error_class_set(err, ERROR_HOLD, 0);
}

static void
set_token(struct token *token, const struct oauth_token *answer, time_t asked)
{
	buf_clear(&token->value);
	buf_add(
	    &token->value, answer->access_token.data, answer->access_token.len);
	token->issued = asked;
	token->expires = asked + (time_t)answer->expires_in;
	token->refresh_in =
	    answer->refresh_in == 0 ? 0 : asked + (time_t)answer->refresh_in;
}

/* A token can be good and yet of no use for SMTP. It may also be of use
 * without saying so (roles by Exchange's own RBAC), hence only warnings. */
static void
warn_of_rights(const struct account *account, const struct oauth_token *answer)
{
	char missing[SCOPE_WORD_SIZE];
	struct oauth_claims claims;

	if (scope_missing(account->scope, answer->scope.data, missing))
		log_line(LOG_WARNING,
		    "account=<%s>: %s was asked for and not granted; look at "
		    "the application's API permissions",
		    account->mailbox, missing);
	if (oauth_response_claims(&claims, answer->access_token.data,
		answer->access_token.len) == -1)
		return;
	if (oauth_claims_are_graphs(&claims))
		log_line(LOG_WARNING,
		    "account=<%s>: the token is for Microsoft Graph, which "
		    "Exchange's SMTP refuses; remove scope from outpost.conf, "
		    "or let it begin with the mail server's own",
		    account->mailbox);
	if (*claims.scopes == '\0' && *claims.roles == '\0')
		log_line(LOG_WARNING,
		    "account=<%s>: the token carries no permission; unless "
		    "Exchange grants it by RBAC, add SMTP.SendAsApp to the "
		    "application and grant admin consent",
		    account->mailbox);
}

/* Ask with the credential, unless somebody just did, and was refused. */
static int
ask(struct renewal *r, const struct grant *grant, const char *credential,
    struct oauth_token *answer, struct error *err)
{
	const struct account *account = r->account;
	char hash[ENCODE_SHA256_HEX_SIZE];
	struct error why;
	int result;

	encode_sha256_hex(hash, credential, strlen(credential));
	if (store_failure_read(r->config, account, hash, r->started,
		milliseconds(), &why) == 0) {
		*err = why;
		return -1;
	}
	r->oauth.http = http_new(account);
	result = grant->ask(r, credential, answer, &why);
	http_free(r->oauth.http);
	if (result == -1) {
		if (*r->oauth.claims != '\0')
			store_claims_write(r->config, account, r->oauth.claims);
		store_failure_write(
		    r->config, account, hash, milliseconds(), &why);
		*err = why;
	} else {
		store_failure_clear(r->config, account);
	}
	return result;
}

/* What was got is used even where it cannot be kept: a full disk stops
 * no mail, and the old refresh token still counts. */
static void
keep(struct renewal *r, const struct grant *grant,
    const struct oauth_token *answer, const struct token *token)
{
	struct error why;

	if (grant->keep != NULL &&
	    grant->keep(r, answer, token->issued, &why) == -1)
		log_line(LOG_WARNING, "account=<%s>: %s", r->account->mailbox,
		    why.text);
	if (token_store(token, r->config, r->account, &why) == -1)
		log_line(LOG_WARNING, "account=<%s>: %s", r->account->mailbox,
		    why.text);
}

static int
make_token(struct renewal *r, struct token *token, struct error *err)
{
	const struct grant *grant = &grants[r->account->auth];
	struct oauth_token answer;
	struct buf credential;
	time_t asked = time(NULL);
	int result = -1;

	store_sign_in_init(&r->sign_in);
	identity_init(&r->identity);
	oauth_token_init(&answer);
	buf_init(&credential, STORE_SECRET_MAX);
	if (grant->load(r, &credential, err) == -1 ||
	    ask(r, grant, credential.data, &answer, err) == -1)
		goto out;
	set_token(token, &answer, asked);
	keep(r, grant, &answer, token);
	warn_of_rights(r->account, &answer);
	result = 0;
out:
	store_sign_in_release(&r->sign_in);
	certificate_free(r->certificate);
	identity_release(&r->identity);
	oauth_token_release(&answer);
	buf_release(&credential);
	return result;
}

/* Early, and in vain: the cached token goes on, and the next try comes
 * after a while, not with the next message. */
static void
put_off(struct renewal *r, struct token *cached, time_t now)
{
	cached->refresh_in = now + RENEW_EARLY_PAUSE;
	(void)token_store(cached, r->config, r->account, NULL);
}

static int
renew_locked(struct renewal *r, struct token *token, const char *rejected,
    struct error *err)
{
	time_t now = time(NULL);
	struct token cached;
	struct error why;
	bool found;
	int result = 0;

	token_init(&cached);
	found = token_cached(&cached, r->config, r->account, now) == 0;
	switch (renew_choose(found ? &cached : NULL, rejected, now)) {
	case RENEW_REFUSE:
		result = refuse_young(r->account, &cached, now, err);
		break;
	case RENEW_MAKE:
		result = make_token(r, token, err);
		break;
	case RENEW_EARLY:
		if (make_token(r, token, &why) == 0)
			break;
		put_off(r, &cached, now);
		/* FALLTHROUGH */
	case RENEW_USE:
		token_release(token);
		*token = cached;
		token_init(&cached);
		break;
	}
	token_release(&cached);
	return result;
}

int
renew_token(struct token *token, const struct config *config,
    const struct account *account, const char *rejected, double deadline,
    struct error *err)
{
	struct renewal r = {
		.config = config,
		.account = account,
		.oauth = { .account = account },
		.deadline = deadline,
		.started = milliseconds(),
	};
	int lock, result;

	if ((lock = store_lock(config, account, deadline, err)) == -1)
		return -1;
	result = renew_locked(&r, token, rejected, err);
	close(lock);
	return result;
}

int
renew_keep(const struct config *config, const struct account *account,
    const struct oauth_token *answer, time_t now, double deadline,
    struct error *err)
{
	struct store_sign_in sign_in;
	struct token token;
	int lock, result = -1;

	if (answer->refresh_token.len == 0) {
		error_set(err, EX_CONFIG, "4.3.5",
		    "the sign-in of '%s' gave no refresh token",
		    account->mailbox);
		return error_hint(err, "add offline_access to scope");
	}
	if ((lock = store_lock(config, account, deadline, err)) == -1)
		return -1;
	store_sign_in_init(&sign_in);
	token_init(&token);
	buf_adds(&sign_in.refresh_token, answer->refresh_token.data);
	sign_in.obtained = sign_in.last_used = now;
	set_token(&token, answer, now);
	if (store_write(&sign_in, config, account, err) == 0 &&
	    token_store(&token, config, account, err) == 0) {
		store_failure_clear(config, account);
		store_claims_write(config, account, "");
		warn_of_rights(account, answer);
		result = 0;
	}
	token_release(&token);
	store_sign_in_release(&sign_in);
	close(lock);
	return result;
}

int
renew_forget(const struct config *config, const struct account *account,
    double deadline, struct error *err)
{
	int lock = store_lock(config, account, deadline, err);
	int result;

	if (lock == -1)
		return -1;
	result = store_remove(config, account, err);
	if (token_forget(config, account, result == -1 ? NULL : err) == -1)
		result = -1;
	store_failure_clear(config, account);
	store_claims_write(config, account, "");
	close(lock);
	return result;
}
