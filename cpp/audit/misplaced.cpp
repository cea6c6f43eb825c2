#include "audit/misplaced.hpp"

namespace fastmas::audit {
namespace {

struct Survey {
    std::optional<std::uint64_t> first_footer;  // number of the block that stands here
    bool block_comes_later = false;
    bool record_comes_later = false;
};

Survey survey_from(ByteSource& source, const Place& place) {
    Survey survey;
    Scanner scanner(source, place.block_offset);
    for (const Item* item = &scanner.next(); item->kind == ItemKind::record || item->kind == ItemKind::footer;
         item = &scanner.next()) {
        if (item->kind == ItemKind::footer) {
            if (!survey.first_footer) survey.first_footer = item->footer.block;
            if (item->footer.block == place.block) survey.block_comes_later = true;
        } else if (item->offset > place.offset && item->record.sequence() == place.sequence) {
            survey.record_comes_later = true;
        }
    }
    return survey;
}

std::string explain(const std::string& noun, std::uint64_t expected, std::uint64_t found, bool comes_later) {
    const std::string wanted = noun + " " + std::to_string(expected);
    const std::string here = noun + " " + std::to_string(found);
    // Everything before the expected place was seen in order, so a smaller number was seen already.
    if (found < expected) return here + " stands a second time, where " + wanted + " belongs";
    if (comes_later) return wanted + " is out of order: " + here + " stands in its place and it comes later";
    return wanted + " is missing: " + here + " stands in its place";
}

}  // namespace

Damage misplaced_record(ByteSource& source, const Place& place, std::uint64_t found_sequence) {
    const Survey survey = survey_from(source, place);
    const std::string where = " (byte " + std::to_string(place.offset) + ")";
    if (place.first_of_block && survey.first_footer && *survey.first_footer != place.block) {
        return Damage(explain("block", place.block, *survey.first_footer, survey.block_comes_later) + where,
                      place.offset, place.block);
    }
    return Damage("block " + std::to_string(place.block) + ": " +
                      explain("record", place.sequence, found_sequence, survey.record_comes_later) + where,
                  place.offset, place.block, place.sequence);
}

}  // namespace fastmas::audit
