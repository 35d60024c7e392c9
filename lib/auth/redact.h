/* Text of a server, made fit for a person's eyes and for the log: what it says
 * may echo the credential that it was sent, or hold another.
 */
#ifndef REDACT_H
#define REDACT_H

#include <stddef.h>

/* 'text' up to its first line end, without 'sent' (a credential, or NULL; as
 * it is or encoded for a form) and without what looks like a token, in whose
 * place "<redacted>" stands. Cut where 'size' ends. Returns 'out'. */
char	*redact_line(char *out, size_t size, const char *text,
	    const char *sent);

#endif
