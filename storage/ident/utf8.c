#include "storage/ident/ident_private.h"

#include "storage/base/bytes.h"
#include "storage/ident/tags.h"

#ifdef POSTGRES_H
#error "storage/ must not include PostgreSQL headers"
#endif

size_t
m3i_ident_decode_utf8(const uint8_t *bytes, size_t size, uint32_t *code_point)
{
	/* the least code point that needs so many bytes */
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	uint8_t		lead = bytes[0];
	uint32_t	value;
	size_t		width;

	if (lead < 0x80)
	{
		*code_point = lead;
		return 1;
	}
	if (lead >= 0xc2 && lead <= 0xdf)
		width = 2;
	else if (lead >= 0xe0 && lead <= 0xef)
		width = 3;
	else if (lead >= 0xf0 && lead <= 0xf4)
		width = 4;
	else
		return 0;
	if (size < width)
		return 0;
	value = lead & (0x7fu >> width);
	for (size_t i = 1; i < width; i++)
	{
		if ((bytes[i] & 0xc0) != 0x80)
			return 0;
		value = value << 6 | (bytes[i] & 0x3f);
	}
	if (value < least[width] || value > 0x10ffff ||
		(value >= 0xd800 && value <= 0xdfff))
		return 0;
	*code_point = value;
	return width;
}

bool
m3_utf8_is_valid(M3Slice text)
{
	size_t		i = 0;

	while (i < text.size)
	{
		uint32_t	code_point;
		size_t		width;

		if (text.size - i >= 8 &&
			(m3_load_le64(text.data + i) & UINT64_C(0x8080808080808080)) == 0)
		{
			i += 8;
			continue;
		}
		width = m3i_ident_decode_utf8(text.data + i, text.size - i, &code_point);
		if (width == 0)
			return false;
		i += width;
	}
	return true;
}
