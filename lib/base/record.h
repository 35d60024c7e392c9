/* Our own small files, and the envelopes on the pipe to submit: a first line
 * "outpost-TYPE 1", then a line "key: value" for each field, in order, keys
 * may repeat.
 *
 *	outpost-envelope 1
 *	sender: alerts@contoso.com
 *	recipient: a@example.org
 *
 * A value is any bytes but LF, CR and NUL. A file of an unknown type or version
 * is refused, not guessed at, and so is a line that is no field, a last line
 * without LF (the file was cut) and a text over the caps.
 */
#ifndef RECORD_H
#define RECORD_H

#include <stddef.h>

struct buf;
struct error;

#define RECORD_TEXT_MAX		(32u * 1024 * 1024)	/* bytes in all */
#define RECORD_FIELDS_MAX	400000u
#define RECORD_KEY_MAX		64u
#define RECORD_TIME_MAX		9999999999LL	/* seconds since 1970 */

struct record_field {
	char *key;
	char *value;
};

struct record {
	struct record_field *fields;	/* in order */
	size_t count;
	size_t room;
	char *text;			/* what a parsed record points into … */
	size_t text_len;		/* … and its length */
};

void	record_init(struct record *);
void	record_release(struct record *);		/* wipes */

/* Read a whole record of this type. EX_SOFTWARE with the line's number. */
int	record_parse(struct record *, const char *type, const char *text,
	    size_t len, struct error *);
/* The value of the first field of that name, or NULL. */
const char *record_get(const struct record *, const char *key);
/* The same as a number from min to max; -1 when missing or no such number. */
int	record_get_number(const struct record *, const char *key,
	    long long min, long long max, long long *out);

/* Write one: the first line, then fields. Control characters that a value
 * may not hold become blanks. The buffer's 'full' tells of a passed cap. */
void	record_begin(struct buf *, const char *type);
void	record_put(struct buf *, const char *key, const char *value);
void	record_put_number(struct buf *, const char *key, long long value);

/* An error as fields "class", "exit", "status", "retry_after", "retry_cap",
 * "uncertain", "reply", "text", "hint"; and back: -1 when there is no such
 * error in the record, or one that is an error by its class or by its exit
 * code alone. */
void	record_put_error(struct buf *, const struct error *);
int	record_get_error(const struct record *, struct error *);

#endif
