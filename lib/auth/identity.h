/* A managed identity: this machine's platform gives tokens to who asks an
 * endpoint of the machine, without any credential of ours (MICROSOFT.md 4.8).
 *
 * identity_find() chooses the endpoint: what the account's keys say; else, in
 * a program without rights, what the platform put into the environment; else
 * Azure Arc, where its agent is installed; else the metadata service of a
 * virtual machine. identity_token() asks it, without a proxy and by http to
 * this machine alone. Where nobody listens, that is said soon, since every
 * other machine in the world has no such endpoint.
 *
 * What the platform calls passing (404, 410, 429, 5xx) is tried again within
 * the deadline.
 *
 *	struct identity identity;
 *	identity_init(&identity);
 *	if (identity_find(&identity, account, &err) == -1 ||
 *	    identity_token(&identity, http, account, deadline, &token, &err) …
 *	identity_release(&identity);
 *
 * Azure Arc asks back: who can read a file in IDENTITY_ARC_FOLDER may have the
 * token. Whoever listens at that port might name any file, so that only a
 * regular file of that folder, by a name that ends in .key, of no more than
 * IDENTITY_KEY_MAX bytes, is read.
 */
#ifndef IDENTITY_H
#define IDENTITY_H

#include <stddef.h>

#include "base/buf.h"
#include "base/error.h"

struct account;
struct http;
struct oauth_failure;
struct oauth_token;

#define IDENTITY_URL_MAX	2048u
#define IDENTITY_KEY_MAX	4096u	/* bytes of Arc's key */
#define IDENTITY_KEY_NAME_SIZE	128u	/* of its file's name, with the NUL */
#define IDENTITY_ARC_FOLDER	"/var/opt/azcmagent/tokens"
#define IDENTITY_TRIES		6
#define IDENTITY_CONNECT_TRIES	2

struct identity {
	int kind;		/* enum config_identity, but IDENTITY_AUTO */
	struct buf endpoint;
	struct buf secret;	/* of the request's header; wiped */
};

void	identity_init(struct identity *);
void	identity_release(struct identity *);

/* EX_CONFIG, to be held, where keys contradict or something is missing. */
int	identity_find(struct identity *, const struct account *,
	    struct error *);
/* Until 'deadline' (file_now() seconds). */
int	identity_token(const struct identity *, struct http *,
	    const struct account *, double deadline, struct oauth_token *,
	    struct error *);

/* Seconds to wait before try number 'next' (2 …) after this error, or -1. */
double	identity_pause(int next, const struct error *, double left);

/* What a refusal means; the rows stand in outpost(8). A row fits when its
 * status (0: any; 500: 500 and above) and its fragment (NULL: any), which may
 * stand in the error or in its description, do. "%s" is the mailbox. */
struct identity_row {
	long status;
	const char *fragment;
	enum error_class class;
	int exit_code;
	const char *code;	/* RFC 3463 */
	const char *sentence;
	const char *hint;
};
/* Row 'i', or NULL after the last. */
const struct identity_row *identity_error_row(size_t i);
/* Never NULL. */
const struct identity_row *identity_error_find(const struct oauth_failure *,
	    long status);

/* Azure Arc's WWW-Authenticate: the name of a file in IDENTITY_ARC_FOLDER.
 * Pure. EX_NOPERM where it is another. */
int	identity_challenge(char name[IDENTITY_KEY_NAME_SIZE],
	    const char *header, struct error *);
/* Append what that file of the folder holds, without its line end. */
int	identity_read_key(struct buf *out, const char *folder,
	    const char *name, struct error *);

#endif
