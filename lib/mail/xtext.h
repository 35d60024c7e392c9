/* xtext, the encoding of DSN parameters (RFC 3461 section 4: '+', '=' and all
 * but printable ASCII as +XX), and checks of what -N, -R and -V of the command
 * line may say.
 */
#ifndef XTEXT_H
#define XTEXT_H

#include <stdbool.h>
#include <stddef.h>

struct buf;
struct error;

#define XTEXT_ENVID_MAX		100u	/* octets of ENVID, section 4.4 */
#define XTEXT_ORCPT_MAX		500u	/* octets of ORCPT, section 4.2 */

/* Append what a valid xtext stands for. */
void	xtext_decode(struct buf *out, const char *xtext);

/* ENVID for a command line's -V: '*out' is xtext, to be freed. EX_USAGE when
 * it is empty, too long or not printable ASCII. */
int	dsn_envid(const char *option, char **out, struct error *);
/* Is it a value that ENVID or ORCPT may have on the wire? */
bool	dsn_is_envid(const char *value);
bool	dsn_is_orcpt(const char *value);
/* "rfc822;…" for a recipient as it was before aliases; to be freed. NULL
 * when it would be too long or needs RFC 6533. */
char	*dsn_orcpt(const char *address);
/* NOTIFY for -N: "never", or a list of success, failure, delay in any case
 * and order; '*out' is the same in upper case, to be freed. EX_USAGE. */
int	dsn_notify(const char *option, char **out, struct error *);
/* RET for -R: "full" or "hdrs". EX_USAGE. */
int	dsn_ret(const char *option, char **out, struct error *);

#endif
