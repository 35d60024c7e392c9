/* What newaliases (-bi) and -bv print: the state of the aliases file, and where
 * mail for an address goes. Neither reads a message nor sends one, and neither
 * needs the network.
 */
#ifndef VERIFY_H
#define VERIFY_H

struct alias_file;
struct error;
struct options;

/* Look at all of the file, and print how much is in it. EX_DATAERR when it has
 * mistakes or cannot be read. */
int	verify_aliases(struct alias_file *, struct error *);
/* Print where each address among the arguments leads, and by which aliases.
 * EX_USAGE without any, EX_NOUSER when one of them leads nowhere. */
int	verify_addresses(const struct options *, struct alias_file *,
	    struct error *);

#endif
