/* JSON for programs that read what a command says (RFC 8259), written into a
 * buf from front to back; commas come by themselves.
 *
 *	json_open(&b, '{');
 *	json_text(&b, "account", "alerts@contoso.com");
 *	json_name(&b, "steps");
 *	json_open(&b, '[');
 *	…
 *	json_close(&b, ']');
 *	json_close(&b, '}');
 *
 * Text is cleaned as for a terminal (log_clean()), so it is always UTF-8 and
 * never holds a control character. Within a list the name is NULL.
 */
#ifndef JSON_H
#define JSON_H

#include <stdbool.h>

struct buf;

void	json_open(struct buf *, char bracket);
void	json_close(struct buf *, char bracket);
/* The name of the member that comes next. */
void	json_name(struct buf *, const char *name);
void	json_text(struct buf *, const char *name, const char *value);
void	json_number(struct buf *, const char *name, long long value);
void	json_bool(struct buf *, const char *name, bool value);

#endif
