/* What a server offers in its answer to EHLO (RFC 5321 section 4.1.1.1),
 * keywords without regard to case. Unknown ones are skipped.
 */
#ifndef CAPABILITIES_H
#define CAPABILITIES_H

#include <stdbool.h>

struct smtp_reply;

struct capabilities {
	unsigned long long size;	/* RFC 1870 maximum; 0: none given */
	bool size_offered;
	bool pipelining;		/* RFC 2920 */
	bool starttls;			/* RFC 3207 */
	bool auth;			/* RFC 4954, also the old "AUTH=" */
	bool auth_xoauth2;
	bool eight_bit_mime;		/* RFC 6152 */
	bool smtputf8;			/* RFC 6531 */
	bool dsn;			/* RFC 3461 */
	bool chunking;			/* RFC 3030 */
	bool enhanced_status;		/* RFC 2034 */
};

/* From a whole 250 reply to EHLO; what was known before is forgotten. */
void	capabilities_read(struct capabilities *, const struct smtp_reply *);

#endif
