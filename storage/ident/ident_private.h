/*
 * What tags and ids share: UTF-8 as Go decodes it, and Go's printable characters.
 */
#ifndef M3_IDENT_PRIVATE_H
#define M3_IDENT_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The size of the code point at the front of size > 0 bytes, and the code point;
 * 0 if the first byte begins none (bad, overlong, surrogate, truncated).
 */
extern size_t m3i_ident_decode_utf8(const uint8_t *bytes, size_t size,
									uint32_t *code_point);

extern bool m3i_ident_is_printable(uint32_t code_point);

#endif							/* M3_IDENT_PRIVATE_H */
