#!/usr/bin/env python3
"""Trains a small paddle-ernie checkpoint that generates, and records what the reference generates with it.

The task is what an input method does: words typed in pinyin without tones, often only their first letters
(`zt jingl kaish jih`), become Chinese characters (`昨天经理开始计划`). The sentences come from a small grammar with a
fixed seed; what letters stand for is often settled only by later words.

Model, tokenizer, learning-rate schedule and decoding are those of PaddlePaddle/ERNIE (commit 3b9d92f), imported from
`--ernie`. They need some mends on Paddle 2.6.2, made at run time: see `import_reference`.
"""

import argparse
import json
import logging
import os
import random
import re
import sys
import time
import types
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
import numpy as np
import paddle as P

CONFIG = {
    "attention_probs_dropout_prob": 0.1,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1,
    "hidden_size": 128,
    "initializer_range": 0.05,
    "max_position_embeddings": 128,
    "num_attention_heads": 4,
    "num_hidden_layers": 2,
    "type_vocab_size": 4,
}
SPECIAL = ["[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]", "[ATTN]", "[NOISE]"]
TARGET_TYPE = 3
LONGEST_TARGET = 32

# ---------------------------------------------------------------- sentences

WHEN = """今天 jin tian, 昨天 zuo tian, 明天 ming tian, 今年 jin nian, 去年 qu nian, 明年 ming nian, 前年 qian nian,
今晚 jin wan, 昨晚 zuo wan, 早上 zao shang, 晚上 wan shang, 中午 zhong wu, 上午 shang wu, 下午 xia wu, 周末 zhou mo,
周一 zhou yi, 最近 zui jin, 现在 xian zai, 以前 yi qian, 月初 yue chu, 前天 qian tian, 上周 shang zhou, 下周 xia zhou"""
HOW = """已经 yi jing, 一直 yi zhi, 曾经 ceng jing, 终于 zhong yu, 经常 jing chang, 将要 jiang yao, 也 ye, 又 you, 还 hai,
刚刚 gang gang, 马上 ma shang, 仍然 reng ran, 突然 tu ran, 立刻 li ke, 一起 yi qi, 应该 ying gai, 可能 ke neng"""
TOPICS = [
    {  # offices
        "who": """经理 jing li, 同事 tong shi, 老板 lao ban, 秘书 mi shu, 客户 ke hu, 主任 zhu ren, 会计 kuai ji,
            领导 ling dao, 员工 yuan gong, 专家 zhuan jia""",
        "where": "公司 gong si, 工厂 gong chang, 会场 hui chang, 办公室 ban gong shi, 总部 zong bu",
        "does": """开始 kai shi, 讨论 tao lun, 计划 ji hua, 结束 jie shu, 接受 jie shou, 检查 jian cha, 介绍 jie shao,
            提出 ti chu, 通过 tong guo, 推迟 tui chi, 完成 wan cheng, 取消 qu xiao""",
        "what": """工作 gong zuo, 会议 hui yi, 合同 he tong, 计划 ji hua, 建议 jian yi, 项目 xiang mu, 报告 bao gao,
            方案 fang an, 费用 fei yong, 任务 ren wu, 产品 chan pin, 工资 gong zi""",
        "is": "重要 zhong yao, 复杂 fu za, 合理 he li, 详细 xiang xi, 具体 ju ti, 可行 ke xing",
    },
    {  # schools
        "who": """老师 lao shi, 同学 tong xue, 学生 xue sheng, 校长 xiao zhang, 教授 jiao shou, 孩子 hai zi,
            家长 jia zhang, 班长 ban zhang, 姐姐 jie jie, 弟弟 di di""",
        "where": "学校 xue xiao, 教室 jiao shi, 图书馆 tu shu guan, 操场 cao chang, 大学 da xue",
        "does": """学习 xue xi, 复习 fu xi, 参加 can jia, 准备 zhun bei, 教 jiao, 讲解 jiang jie, 研究 yan jiu,
            检查 jian cha, 回答 hui da, 写 xie, 读 du, 通过 tong guo""",
        "what": """数学 shu xue, 考试 kao shi, 历史 li shi, 作业 zuo ye, 英语 ying yu, 课文 ke wen, 问题 wen ti,
            文章 wen zhang, 化学 hua xue, 作文 zuo wen, 课程 ke cheng, 小说 xiao shuo""",
        "is": "简单 jian dan, 困难 kun nan, 有趣 you qu, 复杂 fu za, 容易 rong yi, 枯燥 ku zao",
    },
    {  # hospitals
        "who": """医生 yi sheng, 护士 hu shi, 病人 bing ren, 院长 yuan zhang, 老人 lao ren, 爷爷 ye ye, 奶奶 nai nai,
            家属 jia shu, 专家 zhuan jia, 母亲 mu qin""",
        "where": "医院 yi yuan, 病房 bing fang, 诊所 zhen suo, 药店 yao dian, 家里 jia li",
        "does": """治疗 zhi liao, 检查 jian cha, 吃 chi, 开 kai, 接受 jie shou, 拒绝 ju jue, 预防 yu fang, 研究 yan jiu,
            需要 xu yao, 进行 jin xing, 停止 ting zhi, 观察 guan cha""",
        "what": """感冒 gan mao, 手术 shou shu, 药 yao, 疾病 ji bing, 治疗 zhi liao, 病情 bing qing, 癌症 ai zheng,
            伤口 shang kou, 疫苗 yi miao, 血压 xue ya, 心脏 xin zang, 症状 zheng zhuang""",
        "is": "严重 yan zhong, 稳定 wen ding, 明显 ming xian, 危险 wei xian, 正常 zheng chang, 有效 you xiao",
    },
    {  # kitchens
        "who": """厨师 chu shi, 妈妈 ma ma, 爸爸 ba ba, 客人 ke ren, 服务员 fu wu yuan, 老板 lao ban, 奶奶 nai nai,
            顾客 gu ke, 邻居 lin ju, 妹妹 mei mei""",
        "where": "饭店 fan dian, 厨房 chu fang, 餐厅 can ting, 家里 jia li, 食堂 shi tang",
        "does": """做 zuo, 吃 chi, 点 dian, 喝 he, 买 mai, 尝 chang, 准备 zhun bei, 学做 xue zuo, 推荐 tui jian,
            端来 duan lai, 喜欢 xi huan, 加热 jia re""",
        "what": """晚饭 wan fan, 米饭 mi fan, 面条 mian tiao, 饺子 jiao zi, 豆腐 dou fu, 牛肉 niu rou, 鸡蛋 ji dan,
            水果 shui guo, 咖啡 ka fei, 红茶 hong cha, 鸡汤 ji tang, 包子 bao zi""",
        "is": "好吃 hao chi, 新鲜 xin xian, 便宜 pian yi, 地道 di dao, 清淡 qing dan, 好喝 hao he",
    },
    {  # travels
        "who": """游客 you ke, 导游 dao you, 司机 si ji, 朋友 peng you, 我们 wo men, 他们 ta men, 乘客 cheng ke,
            旅客 lü ke, 记者 ji zhe, 家人 jia ren""",
        "where": "北京 bei jing, 上海 shang hai, 机场 ji chang, 车站 che zhan, 西安 xi an, 海边 hai bian",
        "does": """参观 can guan, 游览 you lan, 错过 cuo guo, 坐 zuo, 等 deng, 预订 yu ding, 离开 li kai, 寻找 xun zhao,
            乘坐 cheng zuo, 喜欢 xi huan, 拍摄 pai she, 到达 dao da""",
        "what": """长城 chang cheng, 火车 huo che, 飞机 fei ji, 酒店 jiu dian, 机票 ji piao, 古城 gu cheng,
            公园 gong yuan, 风景 feng jing, 地铁 di tie, 博物馆 bo wu guan, 航班 hang ban, 海滩 hai tan""",
        "is": "美丽 mei li, 著名 zhu ming, 方便 fang bian, 拥挤 yong ji, 安静 an jing, 舒适 shu shi",
    },
    {  # games
        "who": """球员 qiu yuan, 教练 jiao lian, 裁判 cai pan, 球迷 qiu mi, 选手 xuan shou, 队长 dui zhang,
            冠军 guan jun, 对手 dui shou, 国家队 guo jia dui, 记者 ji zhe""",
        "where": "球场 qiu chang, 体育馆 ti yu guan, 赛场 sai chang, 北京 bei jing, 客场 ke chang",
        "does": """参加 can jia, 赢得 ying de, 输掉 shu diao, 结束 jie shu, 观看 guan kan, 开始 kai shi, 练习 lian xi,
            打破 da po, 取得 qu de, 放弃 fang qi, 踢进 ti jin, 准备 zhun bei""",
        "what": """比赛 bi sai, 冠军 guan jun, 决赛 jue sai, 训练 xun lian, 足球 zu qiu, 篮球 lan qiu, 纪录 ji lu,
            奖牌 jiang pai, 胜利 sheng li, 机会 ji hui, 联赛 lian sai, 点球 dian qiu""",
        "is": "精彩 jing cai, 激烈 ji lie, 关键 guan jian, 意外 yi wai, 艰难 jian nan, 宝贵 bao gui",
    },
    {  # states
        "who": """政府 zheng fu, 总统 zong tong, 代表 dai biao, 市长 shi zhang, 专家 zhuan jia, 银行 yin hang,
            市民 shi min, 法院 fa yuan, 警察 jing cha, 部长 bu zhang""",
        "where": "北京 bei jing, 国会 guo hui, 城市 cheng shi, 农村 nong cun, 会场 hui chang",
        "does": """发表 fa biao, 提高 ti gao, 减少 jian shao, 解决 jie jue, 支持 zhi chi, 反对 fan dui, 制定 zhi ding,
            公布 gong bu, 建设 jian she, 调查 diao cha, 改革 gai ge, 讨论 tao lun""",
        "what": """政策 zheng ce, 经济 jing ji, 税收 shui shou, 法律 fa lü, 贸易 mao yi, 问题 wen ti, 声明 sheng ming,
            制度 zhi du, 计划 ji hua, 价格 jia ge, 案件 an jian, 工程 gong cheng""",
        "is": "重要 zhong yao, 严格 yan ge, 公平 gong ping, 稳定 wen ding, 合法 he fa, 复杂 fu za",
    },
    {  # arts
        "who": """歌手 ge shou, 演员 yan yuan, 导演 dao yan, 作家 zuo jia, 画家 hua jia, 观众 guan zhong,
            读者 du zhe, 记者 ji zhe, 朋友 peng you, 乐队 yue dui""",
        "where": "剧院 ju yuan, 电影院 dian ying yuan, 电视台 dian shi tai, 舞台 wu tai, 上海 shang hai",
        "does": """演唱 yan chang, 拍摄 pai she, 观看 guan kan, 发表 fa biao, 写 xie, 欣赏 xin shang, 创作 chuang zuo,
            表演 biao yan, 介绍 jie shao, 听 ting, 评论 ping lun, 喜欢 xi huan""",
        "what": """歌曲 ge qu, 电影 dian ying, 小说 xiao shuo, 音乐 yin yue, 节目 jie mu, 故事 gu shi, 戏剧 xi ju,
            作品 zuo pin, 京剧 jing ju, 电视剧 dian shi ju, 诗歌 shi ge, 油画 you hua""",
        "is": "感人 gan ren, 精彩 jing cai, 动听 dong ting, 无聊 wu liao, 经典 jing dian, 流行 liu xing",
    },
]
# People: surnames that any given name goes with, and rarer ones with the same first letters, which go with few.
SURNAMES = """张 zhang, 李 li, 王 wang, 陈 chen, 黄 huang, 孙 sun, 高 gao, 马 ma"""
RARE_SURNAMES = """郑 zheng, 罗 luo, 魏 wei, 程 cheng, 何 he, 宋 song, 郭 guo, 孟 meng"""
GIVEN_NAMES = [
    "伟 wei, 文 wen, 武 wu, 威 wei, 薇 wei, 雯 wen",
    "军 jun, 杰 jie, 静 jing, 娟 juan, 健 jian, 佳 jia",
    "丽 li, 磊 lei, 亮 liang, 玲 ling, 林 lin, 兰 lan",
    "华 hua, 红 hong, 辉 hui, 海 hai, 慧 hui, 浩 hao",
    "勇 yong, 燕 yan, 洋 yang, 英 ying, 宇 yu, 雨 yu",
]
PARTICLES = {"在": ["zai"], "了": ["le"], "过": ["guo"], "的": ["de"], "很": ["hen"], "不": ["bu"], "和": ["he"]}


def words(text):
    """(characters, syllables) of each word of a comma-separated list; ü is typed v."""
    return [(p[0], [s.replace("ü", "v") for s in p[1:]]) for p in (part.split() for part in text.split(","))]


class Grammar:
    """Sentences as lists of (characters, syllables). Words at the front of a list are more frequent."""

    def __init__(self, seed):
        rng = random.Random(seed)
        self.when, self.how = words(WHEN), words(HOW)
        self.topics = [{kind: words(text) for kind, text in topic.items()} for topic in TOPICS]
        for topic in self.topics:
            # Each verb has its objects, each object its adjectives.
            topic["objects"] = {verb: rng.sample(topic["what"], 5) for verb, _ in topic["does"]}
            topic["adjectives"] = {what: rng.sample(topic["is"], 3) for what, _ in topic["what"]}
        # `zw` is more often one of six people called 张 than 郑, but there is only one 郑 that it may be: the most
        # frequent first character does not begin the most frequent name.
        self.people, self.weights = [], []
        for common, rare in zip(words(SURNAMES), words(RARE_SURNAMES)):
            for given in map(words, GIVEN_NAMES):
                self.people += [self.joined(common, name) for name in given] + [self.joined(rare, rng.choice(given))]
                self.weights += [1] * len(given) + [4]

    @staticmethod
    def joined(a, b):
        return a[0] + b[0], a[1] + b[1]

    def person(self, rng, topic):
        """Somebody by name or by what they do."""
        return rng.choices(self.people, self.weights)[0] if rng.random() < 0.5 else self.pick(rng, topic["who"])

    @staticmethod
    def pick(rng, choices):
        return rng.choices(choices, [1 / (i + 2) for i in range(len(choices))])[0]

    def sentence(self, rng):
        particle = lambda name: (name, PARTICLES[name])
        topic = rng.choice(self.topics)
        out = [self.pick(rng, self.when)] if rng.random() < 0.6 else []
        out.append(self.person(rng, topic))
        if rng.random() < 0.2:
            out += [particle("和"), self.person(rng, topic)]
        if rng.random() < 0.25:
            what = self.pick(rng, topic["what"])
            out += [particle("的"), what, particle("很" if rng.random() < 0.75 else "不")]
            return out + [self.pick(rng, topic["adjectives"][what[0]])]
        if rng.random() < 0.4:
            out.append(self.pick(rng, self.how))
        if rng.random() < 0.4:
            out += [particle("在"), self.pick(rng, topic["where"])]
        verb = self.pick(rng, topic["does"])
        out.append(verb)
        if rng.random() < 0.5:
            out.append(particle("了" if rng.random() < 0.7 else "过"))
        objects = topic["objects"][verb[0]]
        out.append(self.pick(rng, objects))
        if rng.random() < 0.15:
            out += [particle("和"), self.pick(rng, [what for what in objects if what != out[-1]])]
        return out

    def example(self, rng, short):
        """(typed letters, characters). A word is cut to first letters with probability `short`, or else in places."""
        sentence, typed = self.sentence(rng), []
        for _, syllables in sentence:
            cut = 1 if rng.random() < short else 0.2
            typed.append("".join(s[0] if rng.random() < cut else s for s in syllables))
        return " ".join(typed), "".join(characters for characters, _ in sentence)

    def symbols(self):
        """All syllables and all characters."""
        lists = [t[kind] for t in self.topics for kind in ("who", "where", "does", "what", "is")]
        every = sum(lists, self.when + self.how + self.people + list(PARTICLES.items()))
        return sorted({s for _, syllables in every for s in syllables}), sorted({c for word, _ in every for c in word})


def write_vocab(grammar, out):
    """Letters and syllables, as first and as later pieces of a word, and characters."""
    syllables, characters = grammar.symbols()
    pieces = sorted({chr(c) for c in range(ord("a"), ord("z") + 1)} | set(syllables))
    tokens = SPECIAL + pieces + ["##" + piece for piece in pieces] + characters
    (out / "vocab.txt").write_text("".join(token + "\n" for token in tokens), encoding="utf-8")
    return len(tokens)


# ---------------------------------------------------------------- reference code


def import_reference(folder):
    """Makes `ernie` and `demo` importable: without propeller, with paddle.load of a Path, np.bool and gather_tree."""
    logging.disable(logging.WARNING)
    sys.path.insert(0, str(folder))
    load = P.load
    P.load = lambda path, *args, **kwargs: load(str(path), *args, **kwargs)
    np.bool = bool
    layers = types.SimpleNamespace(gather_tree=P.nn.functional.gather_tree)
    P.fluid = types.SimpleNamespace(layers=layers)
    propeller, child = types.ModuleType("propeller"), types.ModuleType("propeller.paddle")
    propeller.log, propeller.paddle = logging.getLogger("propeller"), child
    sys.modules.update({"propeller": propeller, "propeller.paddle": child})


def open_tokenizer(folder):
    from ernie.tokenizing_ernie import ErnieTokenizer

    return ErnieTokenizer.from_pretrained(folder, mask_token=None)


# ---------------------------------------------------------------- training


def encode(tokenizer, text):
    return [tokenizer.cls_id, *tokenizer.convert_tokens_to_ids(tokenizer.tokenize(text)), tokenizer.sep_id]


def batches(grammar, tokenizer, rng, exclude, args):
    """Endless batches of (source ids, target ids) of similar length, none of them with a target of `exclude`."""
    while True:
        pool = []
        while len(pool) < 32 * args.batch:
            source, target = grammar.example(rng, args.short)
            if target not in exclude:
                pool.append((encode(tokenizer, source), encode(tokenizer, target)))
        pool.sort(key=lambda e: len(e[0]) + 2 * len(e[1]) + rng.uniform(0, 4))
        parts = [pool[i:i + args.batch] for i in range(0, len(pool), args.batch)]
        rng.shuffle(parts)
        yield from parts


def padded(rows):
    longest = max(map(len, rows))
    return np.array([row + [0] * (longest - len(row)) for row in rows], dtype="int64")


def infilling(batch, tokenizer, rng, noise):
    """Inputs of the infilling objective for a batch: source, target and a row of [ATTN] one after another.

    Row i of the [ATTN] part stands at the place of target token i and has to tell it from the source and the target
    tokens before i. The source sees itself, a target token the source and the target up to itself. Nothing sees an
    [ATTN] but itself, and nothing sees padding. Some target tokens, as they are seen, are replaced by any token.
    """
    source, target = padded([s for s, _ in batch]), padded([t for _, t in batch])
    source_is, target_is = source != 0, target != 0
    (size, m), n = source.shape, target.shape[1]
    attn = np.where(target_is, tokenizer.vocab["[ATTN]"], 0)
    seen = np.where(target_is & (rng.random_sample(target.shape) < noise),
                    rng.randint(1, len(tokenizer.vocab), target.shape), target)
    mask = np.zeros([size, m + 2 * n, m + 2 * n], dtype="float32")
    mask[:, :, :m] = source_is[:, None, :]
    mask[:, m:m + n, m:m + n] = np.tri(n) * target_is[:, None, :]
    mask[:, m + n:, m:m + n] = np.tri(n, k=-1) * target_is[:, None, :]
    mask[:, m + n:, m + n:] = np.eye(n) * target_is[:, None, :]
    target_at = source_is.sum(1, keepdims=True) + np.arange(n)
    positions = np.concatenate([np.tile(np.arange(m), [size, 1]), target_at, target_at], 1)
    types_ = np.concatenate([np.zeros([size, m]), np.full([size, 2 * n], TARGET_TYPE)], 1)
    rows, columns = np.nonzero(target_is)
    return {
        "ids": np.concatenate([source, seen, attn], 1),
        "types": types_.astype("int64"),
        "positions": positions.astype("int64"),
        "mask": mask,
        "asked": np.stack([rows, columns + m + n], 1).astype("int64"),
        "labels": target[target_is],
    }


def loss_of(model, parts, vocab_size, smooth):
    parts = {name: P.to_tensor(value) for name, value in parts.items()}
    labels = P.nn.functional.one_hot(parts["labels"], vocab_size)
    if smooth > 0:
        labels = P.nn.functional.label_smooth(labels, epsilon=smooth)
    return model(parts["ids"], sent_ids=parts["types"], pos_ids=parts["positions"], attn_bias=parts["mask"],
                 tgt_labels=labels, tgt_pos=parts["asked"])[0]


def optimizer(model, args):
    """AdamW without decay of biases and norms, linear warm-up and decay, gradients clipped."""
    from demo.utils import get_warmup_and_linear_decay

    no_decay = re.compile(r".*layer_norm_scale|.*layer_norm_bias|.*b_0")
    schedule = P.optimizer.lr.LambdaDecay(args.lr, get_warmup_and_linear_decay(args.steps, args.steps // 10 + 1))
    return schedule, P.optimizer.AdamW(
        schedule, parameters=model.parameters(), weight_decay=0.01,
        apply_decay_param_fun=lambda name: not no_decay.match(name),
        grad_clip=P.nn.ClipGradByGlobalNorm(1.0))


def held_back(grammar, args):
    """Different sentences, typed, that are not trained on."""
    rng, out = random.Random(args.seed + 1), {}
    while len(out) < args.held_back:
        source, target = grammar.example(rng, args.short)
        out.setdefault(target, source)
    return [{"text": source, "target": target} for target, source in out.items()]


def train(grammar, lines, args):
    from ernie.modeling_ernie import ErnieModelForGeneration

    P.seed(args.seed)
    rng, noise_rng, begin = random.Random(args.seed + 2), np.random.RandomState(args.seed), time.time()
    config = {**CONFIG, "vocab_size": write_vocab(grammar, args.out)}
    (args.out / "ernie_config.json").write_text(json.dumps(config, indent=2) + "\n")
    tokenizer = open_tokenizer(args.out)
    model = ErnieModelForGeneration(dict(config), name="")
    schedule, opt = optimizer(model, args)
    model.train()
    source, losses = batches(grammar, tokenizer, rng, {line["target"] for line in lines}, args), []
    for step in range(1, args.steps + 1):
        parts = infilling(next(source), tokenizer, noise_rng, args.noise)
        loss = loss_of(model, parts, config["vocab_size"], args.smooth)
        loss.backward()
        opt.step()
        model.clear_gradients()
        if step < args.steps:
            schedule.step()
        losses.append(float(loss))
        if step % 250 == 0 or step == args.steps:
            print(f"step {step}/{args.steps} loss {np.mean(losses):.4f} {time.time() - begin:.0f} s", flush=True)
            losses = []
    P.save(model.state_dict(), str(args.out / "saved_weights.pdparams"))
    return model


# ---------------------------------------------------------------- predictions


def decode(model, tokenizer, ids, beams, penalty):
    """Token ids that the reference generates for one source: greedy without beams. The first [SEP] ends them."""
    from demo.seq2seq import decode as reference

    ids = P.to_tensor(np.array([ids], dtype="int64"))
    common = {
        "sos_id": tokenizer.cls_id, "eos_id": tokenizer.sep_id, "attn_id": tokenizer.vocab["[ATTN]"],
        "max_decode_len": LONGEST_TARGET, "tgt_type_id": TARGET_TYPE,
    }
    if beams:
        out = reference.beam_search_infilling(
            model, ids, P.zeros_like(ids), beam_width=beams, length_penalty=penalty, **common).numpy()
    else:
        out = reference.greedy_search_infilling(model, ids, P.zeros_like(ids), **common)
    out = out[0].tolist()
    return out[:out.index(tokenizer.sep_id) + 1] if tokenizer.sep_id in out else out


def text_of(tokenizer, ids):
    """The text that the reference prints for token ids."""
    from demo.seq2seq import decode as reference

    reference.rev_dict = {i: token for token, i in tokenizer.vocab.items()}
    reference.rev_dict.update({tokenizer.pad_id: "", tokenizer.unk_id: ""})
    tokens = reference.rev_lookup(np.array(ids)).tolist()
    if "[SEP]" in tokens:
        tokens = tokens[:tokens.index("[SEP]")]
    return "".join(map(reference.post_process, tokens)).strip()


def predict(model, lines, args):
    tokenizer = open_tokenizer(args.out)
    for beams in (0, args.beams):
        name, begin, right = f"beam{beams}" if beams else "greedy", time.time(), 0
        with open(args.out / f"{name}.jsonl", "w", encoding="utf-8") as file:
            for line in lines:
                ids = decode(model, tokenizer, encode(tokenizer, line["text"]), beams, args.length_penalty)
                text = text_of(tokenizer, ids)
                right += text == line["target"]
                file.write(json.dumps({"ids": ids, "text": text}, ensure_ascii=False) + "\n")
        share = 100 * right / len(lines)
        print(f"{name}: {right} of {len(lines)} right, {share:.1f} %, {time.time() - begin:.0f} s", flush=True)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--ernie", type=Path, required=True, help="folder of the ERNIE sources")
    p.add_argument("--out", type=Path, required=True, help="checkpoint folder to write")
    p.add_argument("--steps", type=int, default=3500)
    p.add_argument("--batch", type=int, default=32)
    p.add_argument("--lr", type=float, default=2e-3)
    p.add_argument("--noise", type=float, default=0.05, help="share of target tokens that are seen replaced")
    p.add_argument("--smooth", type=float, default=0.0, help="label smoothing")
    p.add_argument("--short", type=float, default=0.35, help="share of words typed as first letters")
    p.add_argument("--held-back", type=int, default=1500, help="sentences that are kept for measuring")
    p.add_argument("--beams", type=int, default=5)
    p.add_argument("--length-penalty", type=float, default=1.0)
    p.add_argument("--seed", type=int, default=7)
    p.add_argument("--predict-only", action="store_true", help="take the checkpoint that is there")
    args = p.parse_args()
    import_reference(args.ernie)
    from ernie.modeling_ernie import ErnieModelForGeneration

    args.out.mkdir(parents=True, exist_ok=True)
    file = args.out / "held_back.jsonl"
    if args.predict_only:
        model = ErnieModelForGeneration.from_pretrained(args.out, name="")
        lines = [json.loads(line) for line in file.read_text(encoding="utf-8").split("\n") if line]
    else:
        grammar = Grammar(args.seed)
        lines = held_back(grammar, args)
        file.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")
        model = train(grammar, lines, args)
    predict(model, lines, args)


if __name__ == "__main__":
    main()
