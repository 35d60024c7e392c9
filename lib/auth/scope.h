/* Scopes (RFC 6749 section 3.3): permissions parted by blanks, each behind the
 * address of what it is for, as in "https://outlook.office.com/SMTP.Send". Only
 * the permissions are compared, without regard to case: Entra may grant them
 * under another address of the same server, and tokens have them without one.
 */
#ifndef SCOPE_H
#define SCOPE_H

#include <stdbool.h>

#define SCOPE_WORD_SIZE	80u	/* of a permission, with the NUL */

bool	scope_has(const char *granted, const char *permission);

/* Was less granted than asked for? The first permission that is missing,
 * copied to 'out', and true. False where nothing is said of what was granted,
 * and for what is no permission ("offline_access", ".default"). */
bool	scope_missing(const char *asked, const char *granted,
	    char out[SCOPE_WORD_SIZE]);

/* What the first one is for, as a managed identity is asked: without
 * "/.default". To be freed. */
char	*scope_resource(const char *scope);

#endif
