/* Text beyond ASCII in headers, as encoded words (RFC 2047).
 *
 * Input is UTF-8. What is not goes as iso-8859-1 where every byte is a
 * printable character of it, else as unknown-8bit (RFC 1428); the bytes stay,
 * so nothing is lost. Each word is at most 75 octets, in Q or B encoding,
 * whichever is shorter, and never cuts a UTF-8 character. Control characters
 * never pass: CR, LF, TAB become blanks, others are dropped. Decoding is
 * nowhere needed.
 */
#ifndef ENCODED_WORD_H
#define ENCODED_WORD_H

#include <stdbool.h>
#include <stddef.h>

struct buf;

#define ENCODED_WORD_MAX	75u	/* RFC 2047 section 2 */

/* Octets of the encoded word that 'text' begins with, as it should be or with
 * specials left in it; 0 if there is none. */
size_t	encoded_word_length(const char *text, size_t len);
/* Append all of 'text' as encoded words, separated by CR LF and a blank where
 * a line would pass 76 octets; 'column' is how much of the line is used. What
 * is written is legal in a phrase (section 5 (3)), hence also elsewhere. Words
 * that are encoded already stay. */
void	encoded_word_phrase(struct buf *out, const char *text, size_t len,
	    size_t column);
/* Append unstructured text (Subject): only the run of words from the first
 * to the last that need it is encoded, with the encoded words beside it, since
 * a reader drops the blanks between two (section 6.2). The rest stays byte for
 * byte, line breaks outside of the run included. */
void	encoded_word_text(struct buf *out, const char *text, size_t len,
	    size_t column);

#endif
