/* sendmail -bp, -bP, and sendmail by the name of mailq: the program mailq
 * takes our place, since it has the rights.
 */
#ifndef SENDMAIL_MAILQ_H
#define SENDMAIL_MAILQ_H

struct error;
struct options;

/* Both return only where it cannot be run: EX_CONFIG. */
int	mailq_for_options(const struct options *, struct error *);
/* With these arguments, of which the first is the program's name. */
int	mailq_replace(char **argv, struct error *);

#endif
