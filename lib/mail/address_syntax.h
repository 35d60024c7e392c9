/* The characters of addresses (RFC 5322 section 3.2.3), and what else
 * address.c and address_parse.c share: private to them.
 */
#ifndef ADDRESS_SYNTAX_H
#define ADDRESS_SYNTAX_H

#include <stdbool.h>
#include <string.h>

struct buf;

/* Release the buffer and return its text without blanks around it, to be
 * freed; NULL if none is left. */
char	*address_take_trimmed(struct buf *);

/* May it stand in an atom? RFC 6532 allows all bytes over 127. */
static inline bool
is_atext(char c)
{
	unsigned char u = (unsigned char)c;

	if (u > ' ' && u < 0x7f)
		return strchr("()<>[]:;@\\,.\"", c) == NULL;
	return u >= 0x80;
}

static inline bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static inline bool
is_control(char c)
{
	return (unsigned char)c < ' ' || c == 0x7f;
}

#endif
