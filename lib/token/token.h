/* A valid access token for an account: the cached one, or a fresh one from
 * the token program, which alone may read what tokens are made from.
 *
 * The cache is one record a mailbox in STATE_DIR/tokens, written by the
 * token program and readable by submit. A cached token counts only while it
 * has TOKEN_MARGIN seconds left (a quarter of its life, where that is less:
 * tenants may shorten it to 10 minutes) and was made for the account as it is
 * configured today (authority, tenant, client, scope, auth: the key).
 *
 * On 535 the caller asks again with the rejected token's hash: the token
 * program makes another one only if the cached one is still that one and not
 * younger than TOKEN_REJECT_AGE (a refusal of a fresh token is not cured by
 * a fresher one).
 */
#ifndef TOKEN_H
#define TOKEN_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "base/buf.h"
#include "base/encode.h"

struct account;
struct config;
struct error;
struct waiter;

#define TOKEN_MAX		(16u * 1024)	/* bytes of an access token */
#define TOKEN_MARGIN		600		/* seconds left at the least */
#define TOKEN_REJECT_AGE	300		/* seconds */
#define TOKEN_LIFE_MAX		(7 * 86400)	/* seconds; none lives longer */
#define TOKEN_ANSWER_MAX	(64u * 1024)	/* bytes of an answer */
#define TOKEN_SECONDS_MAX	600		/* -t of the token program */
#define TOKEN_IDLE		(7 * 86400)	/* seconds */
#define TOKEN_EARLY_WAIT	10.0		/* s, for an early renewal */

struct token {
	struct buf value;		/* the access token */
	time_t issued;			/* when we got it */
	time_t expires;
	time_t refresh_in;		/* renew from then on; 0: at the end */
};

void	token_init(struct token *);
void	token_release(struct token *);		/* wipes */

/* Get one. 'libexec' is the folder of the token program, which is told the
 * path of 'config' unless it is set-id. 'rejected' is NULL or the hash of a
 * token that the server refused. 'deadline' is file_now() seconds: at most
 * until then, and until 'waiter' (may be NULL) ends it. The error is what the
 * token program says, class and hint with it; or EX_CONFIG, EX_NOPERM where it
 * cannot be run, EX_TEMPFAIL where it gave no answer. A token that wants an
 * early renewal is used where that fails. */
int	token_get(struct token *, const struct config *,
	    const struct account *, const char *libexec,
	    const char *rejected, double deadline, const struct waiter *,
	    struct error *);

/* The same through LIBEXEC/submit, for a user who may not run the token
 * program. EX_NOPERM unless `token_users` lists the user. */
int	token_get_relayed(struct token *, const struct config *,
	    const struct account *, const char *libexec, double deadline,
	    struct error *);

/* Has the account's sign-in given no token for TOKEN_IDLE? Microsoft drops it
 * after 90 days, so it is to be used. False where there never was one. */
bool	token_is_idle(const struct config *, const struct account *,
	    time_t now);

/* The cache, for the token program and for tests. token_cached(): 0 and the
 * token when there is one that is valid at 'now', -1 otherwise (no error: a
 * cache that cannot be read is no cache). */
int	token_cached(struct token *, const struct config *,
	    const struct account *, time_t now);
int	token_store(const struct token *, const struct config *,
	    const struct account *, struct error *);
/* Forget the cached token (logout). */
int	token_forget(const struct config *, const struct account *,
	    struct error *);

/* SHA-256 in hex, the name of a token where the token must not stand. */
void	token_hash(const struct token *, char out[ENCODE_SHA256_HEX_SIZE]);

/* How the token program answers on its standard output: a record, either a
 * token or an error. Both ends share these. */
void	token_format(const struct token *, struct buf *out);
void	token_format_error(const struct error *, struct buf *out);
int	token_parse_answer(struct token *, const char *text, size_t len,
	    struct error *);

/* The file name of an account under a folder of state_dir: the mailbox in
 * lower case with everything outside [a-z0-9.@_+-] as %XX. To be freed. */
char	*token_path(const struct config *, const char *folder,
	    const struct account *);
/* Another file of the account there, "…=what", which no other account's file
 * is called. To be freed. */
char	*token_path_beside(const struct config *, const char *folder,
	    const struct account *, const char *what);

#endif
