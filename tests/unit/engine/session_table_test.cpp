#include "engine/session_table.hpp"

#include <gtest/gtest.h>

#include <set>
#include <thread>
#include <vector>

namespace ftm::engine {
namespace {

using Take = net::ReadRight::Take;

class SessionTableTest : public ::testing::Test {
protected:
    SessionTable table_{fcgi::Limits{}, fcgi::ValuesReply{}};
};

TEST_F(SessionTableTest, gives_sessions_that_are_owned_and_new)
{
    Session* session = table_.acquire();
    ASSERT_NE(session, nullptr);
    EXPECT_EQ(session->index, 0U);
    EXPECT_EQ(&table_.at(0), session);
    EXPECT_EQ(session->registration.load(), Registration::none);
    EXPECT_EQ(session->read_right.take(session->read_right.generation()), Take::news);
    EXPECT_EQ(table_.created(), 1U);
    EXPECT_EQ(table_.open(), 1U);
}

TEST_F(SessionTableTest, uses_places_again_with_another_generation)
{
    Session* session = table_.acquire();
    const std::uint32_t generation = session->read_right.generation();
    session->pending = "bytes";
    for (const std::uint16_t id : {1, 2, 3}) {
        OpenRequest& request = session->requests.add(id);
        request.building = std::make_unique<Job>();
        request.ended.store(true);
        request.aborted.store(true);
        request.cut.store(true);
    }
    session->in_flight.store(3);
    session->has_pending.store(true);
    session->close_wanted.store(true);
    session->eof.store(true);
    session->watched.store(true);
    session->output.set_gone();
    session->registration.store(Registration::closed);
    table_.release(*session);
    EXPECT_EQ(table_.open(), 0U);
    EXPECT_EQ(session->read_right.take(generation), Take::stale);

    ASSERT_EQ(table_.acquire(), session);
    EXPECT_NE(session->read_right.generation(), generation);
    EXPECT_EQ(session->pending, "");
    EXPECT_FALSE(session->requests.any() || session->requests.any_building());
    EXPECT_EQ(session->requests.find(1), nullptr);
    EXPECT_EQ(session->in_flight.load(), 0U);
    for (const std::uint16_t id : {1, 2, 3}) {
        const OpenRequest& request = session->requests.add(id);
        EXPECT_FALSE(request.ended.load() || request.aborted.load() || request.cut.load()) << id;
    }
    EXPECT_FALSE(session->has_pending.load() || session->close_wanted.load() || session->eof.load() ||
                 session->watched.load());
    EXPECT_FALSE(session->output.gone());
    EXPECT_EQ(session->registration.load(), Registration::none);
    EXPECT_TRUE(session->machine.idle());
    EXPECT_EQ(table_.created(), 1U);
}

TEST_F(SessionTableTest, the_last_closed_is_the_first_used_again)
{
    Session* a = table_.acquire();
    Session* b = table_.acquire();
    table_.release(*a);
    table_.release(*b);
    EXPECT_EQ(table_.acquire(), b);
    EXPECT_EQ(table_.acquire(), a);
}

TEST_F(SessionTableTest, grows_over_many_chunks)
{
    std::set<Session*> sessions;
    for (std::uint32_t i = 0; i < 1000; ++i) {
        Session* session = table_.acquire();
        ASSERT_EQ(session->index, i);
        ASSERT_EQ(&table_.at(i), session);
        sessions.insert(session);
    }
    EXPECT_EQ(sessions.size(), 1000U);
    EXPECT_EQ(table_.open(), 1000U);
}

TEST_F(SessionTableTest, threads_acquire_release_and_look_up)
{
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([this] {
            std::vector<Session*> mine;
            for (unsigned i = 0; i < 400; ++i) {
                Session* session = table_.acquire();
                ASSERT_EQ(&table_.at(session->index), session);
                session->pending = "mine";
                mine.push_back(session);
                const std::uint32_t other = i % table_.created();
                table_.at(other).read_right.take(0xffffffff);
                if (i % 3 == 0) {
                    table_.release(*mine.front());
                    mine.erase(mine.begin());
                }
            }
            for (Session* session : mine) {
                table_.release(*session);
            }
        });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    EXPECT_EQ(table_.open(), 0U);
}

}  // namespace
}  // namespace ftm::engine
