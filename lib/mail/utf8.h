/* What is UTF-8 and what is not (RFC 3629): no overlong forms, no surrogates,
 * nothing above U+10FFFF. Pure; NUL counts as a character.
 */
#ifndef UTF8_H
#define UTF8_H

#include <stdbool.h>
#include <stddef.h>

#define UTF8_CHAR_MAX	4u

/* Length of the valid character at 'bytes', 1 to 4; 0 when there is none, or
 * when 'len' cuts it. */
size_t	utf8_char(const char *bytes, size_t len);
bool	utf8_valid(const char *bytes, size_t len);
/* Is there a byte over 127? */
bool	utf8_has_8bit(const char *bytes, size_t len);

/* The same over chunks that may cut a character: start with a zeroed state,
 * feed all, and ask for 'ok' after utf8_end(). */
struct utf8_state {
	char part[UTF8_CHAR_MAX];	/* a character cut by the last chunk */
	size_t part_len;
	bool bad;
};
void	utf8_feed(struct utf8_state *, const char *bytes, size_t len);
bool	utf8_end(const struct utf8_state *);

#endif
