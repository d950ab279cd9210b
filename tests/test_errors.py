from recbole_llmfashion.errors import did_you_mean


def test_did_you_mean():
    assert did_you_mean("sasrec", ["SASRec", "CORE"]) == "did you mean 'SASRec'?"
    assert did_you_mean("zzz", ["SASRec", "CORE"]) == "known: SASRec, CORE"
    assert did_you_mean("zzz", []) == "known: nothing"
    assert did_you_mean("zzz", ["SASRec"], "see README.md") == "see README.md"


def test_did_you_mean_cutoff():
    assert did_you_mean("sale", ["SASRec"], cutoff=0.3) == "did you mean 'SASRec'?"
    assert did_you_mean("sale", ["SASRec"], cutoff=0.9) == "known: SASRec"
