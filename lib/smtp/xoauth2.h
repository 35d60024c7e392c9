/* SASL XOAUTH2 as Microsoft describes it: one message, base64 of
 * "user=" MAILBOX ^A "auth=Bearer " TOKEN ^A ^A.
 */
#ifndef XOAUTH2_H
#define XOAUTH2_H

#include <stddef.h>

struct buf;
struct error;

#define XOAUTH2_MAX		(32u * 1024)	/* bytes of base64 */
#define XOAUTH2_CHALLENGE_MAX	4096u		/* bytes that are decoded */

/* Append the initial response to 'out'. EX_SOFTWARE for a user or token that
 * is empty or has control characters, or is too long. It is a secret. */
int	xoauth2_response(struct buf *out, const char *user,
	    const char *token, struct error *);

/* What a 334 says: its text decoded from base64 if it is that (Google sends
 * JSON), else as it is; control characters become blanks. Cut to 'size'
 * bytes with the NUL. */
void	xoauth2_challenge(char *out, size_t size, const char *text);

/* Some servers repeat the command that they refuse. Cut out of what one said
 * what it repeats of a response made above, or of the token in it: the text
 * becomes shorter. */
void	xoauth2_hide(char *text, const struct buf *response);

#endif
