/* Mail addresses: header lists, command-line words and sender patterns to
 * values, and back to text (RFC 5322 section 3.4 with the obsolete syntax of
 * 4.4, RFC 6532 for bytes over 127).
 *
 * What is understood: display names, quoted strings, comments, groups (their
 * members; "undisclosed-recipients:;" is empty), source routes, which are
 * dropped (<@a,@b:c@d> is c@d), encoded words, which are kept as they are,
 * folded and blank space anywhere, empty list members, ';' for ','. A comma
 * is put in where it is clearly missing: after '>' and before another
 * <address>, and between two complete addresses (a@b c@d). Names without a
 * domain (root) are mailboxes. Anything else is an error: an address is
 * never guessed, since mail would go to strangers.
 *
 * A mailbox holds its parts unquoted: the local part of "john doe"@x is
 * 'john doe'. Text of an address ("const char *address" below, and all that
 * goes into an envelope) is the SMTP form that mailbox_address() returns,
 * without angle brackets: quoted where it must be.
 *
 * All functions are pure. Errors are EX_DATAERR with 5.1.3 for syntax. Lists
 * own their mailboxes, mailboxes their strings.
 *
 *	struct mailbox_list list;
 *	mailbox_list_init(&list);
 *	if (address_parse_argument(&list, argv[i], &err) == -1) …
 *	for (size_t j = 0; j < list.count; j++) {
 *		char *address = mailbox_address(&list.items[j]);
 *		if (address_smtp_safe(address, &utf8, &err) == -1) …
 *		…
 *		free(address);
 *	}
 *	mailbox_list_release(&list);
 *
 * A domain with letters beyond ASCII is read as A-labels (idn.h), so that only
 * a local part with such letters needs SMTPUTF8. Where that cannot be, the
 * domain stays as it was and needs SMTPUTF8 too.
 */
#ifndef ADDRESS_H
#define ADDRESS_H

#include <stdbool.h>
#include <stddef.h>

struct buf;
struct error;

#define ADDRESS_TEXT_MAX	(1024u * 1024)	/* bytes of a list */
#define ADDRESS_COUNT_MAX	50000u		/* mailboxes in a list */
#define ADDRESS_COMMENT_DEPTH	64u		/* parentheses in parentheses */
#define ADDRESS_MAX		254u		/* octets, RFC 5321 4.5.3.1.3 */
#define ADDRESS_LOCAL_MAX	64u		/* RFC 5321 4.5.3.1.1 */
#define ADDRESS_LABEL_MAX	63u		/* RFC 1035 2.3.4 */

struct mailbox {
	char *display;		/* name without quotes, else the text of a
				 * comment, "root (Cron Daemon)"; NULL: none */
	char *local;		/* never NULL; empty only in a null sender */
	char *domain;		/* NULL if none; a literal keeps its [] */
	bool idn;		/* the domain was written with letters beyond
				 * ASCII; it is held as A-labels */
	bool obsolete;		/* written in a way that strict servers refuse:
				 * a name with a bare '@', a comment for a
				 * name, a route */
};

struct mailbox_list {
	struct mailbox *items;
	size_t count;
	size_t room;
};

void	mailbox_init(struct mailbox *);
void	mailbox_release(struct mailbox *);
void	mailbox_list_init(struct mailbox_list *);
void	mailbox_list_release(struct mailbox_list *);
/* Move a mailbox in; it is empty afterwards. */
void	mailbox_list_add(struct mailbox_list *, struct mailbox *);
/* Release all but the first 'count'. */
void	mailbox_list_cut(struct mailbox_list *, size_t count);

/* Append the mailboxes of a header's value. On failure the list is as it was.
 * "<>" in a list is nobody. CR and LF are taken only where they fold. */
int	address_parse_list(struct mailbox_list *, const char *value, size_t len,
	    struct error *);
/* The same for one word of the command line, which may be a list too; CR, LF
 * and a word that yields no mailbox are errors. */
int	address_parse_argument(struct mailbox_list *, const char *word,
	    struct error *);
/* Exactly one mailbox, not null: an account's name, a send_as, any address. */
int	address_parse_one(struct mailbox *, const char *text, struct error *);
/* The value of -f, -r: one mailbox in any form, or the null sender: "", "<>"
 * and blanks give an empty local part without domain. */
int	address_parse_sender(struct mailbox *, const char *word,
	    struct error *);
/* Is it the null sender: empty, or MAILER-DAEMON without a domain? */
bool	mailbox_is_null(const struct mailbox *);

/* The SMTP form, "local@domain" or "local", the local part quoted if needed;
 * to be freed. Not checked: see address_smtp_safe(). */
char	*mailbox_address(const struct mailbox *);
/* Append the header form: name <address>, the name bare, quoted or as encoded
 * words (RFC 2047) as it requires, line breaks as CR LF blank; <address>
 * without name. */
void	mailbox_format(const struct mailbox *, struct buf *out);
/* The same of a name and an address; 'name' may be NULL. */
void	address_format(struct buf *out, const char *name, const char *address);

/* Copy a header's value, replacing what 'replace' wants replaced: for each
 * mailbox it may append other text to 'out' and return true; otherwise the
 * bytes stay as they are, as do groups, commas and blanks. Comments are kept,
 * behind what is replaced, but for one that was the name. (Names of groups in
 * raw 8-bit become encoded words.) -1 when the value cannot be parsed;
 * 'out' is as it was. */
typedef bool address_replacer(void *arg, const struct mailbox *,
	    struct buf *out);
int	address_map(struct buf *out, const char *value, size_t len,
	    address_replacer *replace, void *arg, struct error *);

/* Comparing texts of addresses. address_same() is for recipients: the local
 * part exactly, the domain without regard to case. address_same_mailbox() is
 * for accounts and configuration: no regard to case at all (ASCII). */
bool	address_same(const char *a, const char *b);
bool	address_same_mailbox(const char *a, const char *b);
/* Does it match a pattern of `senders` or `send_as`: an address in which '*'
 * stands for any run of characters ("*@contoso.com", "alerts@*")? Local part
 * and domain are matched apart, without regard to case; "*" alone matches
 * all; a pattern without '@' matches only names without domain. */
bool	address_matches(const char *address, const char *pattern);
/* 'user+tag@d' without its tag, to be freed; a copy when there is none. */
char	*address_strip_tag(const char *address);
/* The same address or pattern, its domain as A-labels where that is possible;
 * to be freed. "@group" is none and stays. */
char	*address_to_ascii(const char *address);
/* What is after the last '@', or NULL: a pointer into 'address'. */
const char *address_domain(const char *address);

/* May this text go into MAIL FROM:<…> or RCPT TO:<…>? No control characters,
 * no blank or bracket outside quotes, lengths and domain as the RFCs want
 * them, UTF-8 where over 127, a domain present (else 5.1.3 "has no domain").
 * '*smtputf8' becomes true if it has bytes over 127 and is otherwise left
 * alone, so that one flag serves many calls; may be NULL. */
int	address_smtp_safe(const char *address, bool *smtputf8,
	    struct error *);

#endif
