"""What is served is what was evaluated; items come and go at once."""

from serving_sessions import sessions


def test_every_test_users_list_is_the_evaluators(job, recommender):
    asked = sessions(job.data)
    assert len(job.ranks) > 10
    for user, row in job.ranks.iterrows():
        actions, now = asked[user]
        served = recommender.recommend(actions, 10, now=now)
        assert [line.item for line in served] == row["top"].tolist(), user
        assert [line.score for line in served] == [300.0 - place for place in range(10)]
