"""Train and compare: python run_recbole_llm.py --model=LLMFashionRec,CORE --dataset=footwear [--key=value ..]."""

import sys

from recbole_llmfashion.run import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
