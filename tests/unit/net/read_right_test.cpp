#include "net/read_right.hpp"

#include <gtest/gtest.h>

#include <memory>

#include "model/explorer.hpp"

namespace ftm::net {
namespace {

using Take = ReadRight::Take;

TEST(ReadRight, is_owned_by_who_opens_it)
{
    ReadRight right;
    right.open_owned(7);
    EXPECT_EQ(right.generation(), 7U);
    EXPECT_EQ(right.take(7), Take::news);
    EXPECT_FALSE(right.give_back());
    EXPECT_TRUE(right.give_back());
    EXPECT_EQ(right.take(7), Take::taken);
}

TEST(ReadRight, news_is_told_once)
{
    ReadRight right;
    right.open_owned(1);
    EXPECT_EQ(right.take(1), Take::news);
    EXPECT_EQ(right.take(1), Take::news);
    EXPECT_FALSE(right.give_back());
    EXPECT_TRUE(right.give_back());
}

TEST(ReadRight, another_generation_is_stale)
{
    ReadRight right;
    right.open_owned(1);
    EXPECT_EQ(right.take(0), Take::stale);
    EXPECT_EQ(right.take(2), Take::stale);
    EXPECT_TRUE(right.give_back());
    EXPECT_EQ(right.take(2), Take::stale);
}

TEST(ReadRight, a_retired_right_is_stale_until_opened_and_owned)
{
    ReadRight right;
    right.open_owned(1);
    EXPECT_EQ(right.take(1), Take::news);
    right.retire();
    EXPECT_EQ(right.generation(), 2U);
    EXPECT_EQ(right.take(1), Take::stale);
    EXPECT_EQ(right.take(2), Take::news);
    EXPECT_FALSE(right.give_back());
}

TEST(ReadRight, generations_wrap_around)
{
    ReadRight right;
    right.open_owned(0xffffffff);
    EXPECT_EQ(right.take(0xffffffff), Take::news);
    right.retire();
    EXPECT_EQ(right.generation(), 0U);
    EXPECT_EQ(right.take(0xffffffff), Take::stale);
    EXPECT_EQ(right.take(0), Take::news);
}

// ------------------------------------------------------------------------------------- the model test of RULES 1 and 2

using model::Explorer;
using ModelRight = BasicReadRight<model::Atomic<std::uint64_t>>;

// A connection as readers see it: bytes arrive in the socket and then make an edge, which some thread takes out of the
// set. Whoever owns the right reads until nothing is left and gives it back. One byte closes the connection, and the
// next one gets its index.
class Connections final : public model::World {
public:
    Connections(unsigned readers, unsigned bytes, bool closes) : readers_(readers), bytes_(bytes), closes_(closes) {}

    std::vector<std::function<void()>> tasks() override
    {
        std::vector<std::function<void()>> all;
        right_.open_owned(0);
        all.emplace_back([this] { // the accepting thread
            read(0);
        });
        all.emplace_back([this] { // the client
            for (unsigned i = 0; i < bytes_; ++i) {
                Explorer::current().step("byte");
                ++socket_;
                Explorer::current().step("edge");
                edges_.push_back(right_generation_);
            }
            client_done_ = true;
        });
        for (unsigned i = 0; i < readers_; ++i) {
            all.emplace_back([this] {
                for (;;) {
                    Explorer::current().block("wait", [this] { return !edges_.empty(); });
                    const std::uint32_t generation = edges_.back();
                    edges_.pop_back();
                    Explorer::current().told(generation);
                    if (right_.take(generation) == ModelRight::Take::taken) {
                        if (generation != right_generation_) {
                            Explorer::current().fail("a stale event got the right");
                        }
                        read(generation);
                    }
                }
            });
        }
        return all;
    }

    bool at_rest() override
    {
        if (client_done_ && edges_.empty() && socket_ != 0) {
            Explorer::current().fail("bytes are left that nobody reads");
        }
        return false;
    }

    void describe(model::Hash& hash) const override
    {
        for (const auto word : {socket_, read_, owners_, right_generation_, unsigned{client_done_}}) {
            hash.add(word);
        }
        for (const auto edge : edges_) {
            hash.add(edge);
        }
    }

private:
    void read(std::uint32_t generation)
    {
        if (++owners_ != 1) {
            Explorer::current().fail("two threads own the right");
        }
        for (;;) {
            Explorer::current().step("recv");
            const unsigned got = Explorer::current().told(std::exchange(socket_, 0u));
            read_ += got;
            if (closes_ && got != 0 && generation == 0) { // the place is the next connection's, owned by its acceptor
                right_generation_ = 1;
                right_.retire();
                generation = 1;
                continue;
            }
            if (got != 0) {
                continue;
            }
            --owners_;
            if (right_.give_back()) {
                return;
            }
            if (++owners_ != 1) {
                Explorer::current().fail("two threads own the right");
            }
        }
    }

    const unsigned readers_;
    const unsigned bytes_;
    const bool closes_;
    ModelRight right_;
    unsigned socket_ = 0;
    unsigned read_ = 0;
    unsigned owners_ = 0;
    std::uint32_t right_generation_ = 0;
    bool client_done_ = false;
    std::vector<std::uint32_t> edges_;
};

void check(unsigned readers, unsigned bytes, bool closes)
{
    Explorer explorer;
    const model::Outcome outcome =
        explorer.explore([=] { return std::make_unique<Connections>(readers, bytes, closes); });
    EXPECT_EQ(outcome.failure, "");
    EXPECT_TRUE(outcome.complete);
    std::printf("    %zu runs, %zu states\n", outcome.runs, outcome.states);
}

TEST(ReadRightModel, one_reader_misses_nothing) { check(1, 3, false); }
TEST(ReadRightModel, two_readers_miss_nothing_and_never_read_together) { check(2, 2, false); }
TEST(ReadRightModel, an_index_used_again_meets_stale_events) { check(2, 2, true); }

}  // namespace
}  // namespace ftm::net
