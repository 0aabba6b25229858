"""What the pages say, in English and Chinese."""

from __future__ import annotations

from typing import Any

LANGUAGES = ("en", "zh")

_TEXTS = {
    "login.title": ("Mastra: log in", "Mastra：登录"),
    "login.name": ("Name", "用户名"),
    "login.password": ("Password", "密码"),
    "login.enter": ("Log in", "登录"),
    "login.wrong": ("Name and password do not fit.", "用户名或密码不正确。"),
    "login.wait": (
        "Too many tries; again in {seconds} s.",
        "尝试次数过多，请在 {seconds} 秒后重试。",
    ),
    "login.other": ("Log in at the provider", "通过身份提供商登录"),
    "login.provider": ("The provider does not answer.", "身份提供商没有响应。"),
    "login.refused": (
        "The provider's answer does not let you in.",
        "身份提供商的应答不允许登录。",
    ),
    "page.fleet": ("Devices", "设备"),
    "page.device": ("Device {name}", "设备 {name}"),
    "page.audit": ("Changes", "变更记录"),
    "page.leave": ("Log out", "退出"),
    "page.picture": ("Newest picture of {name}", "{name} 的最新画面"),
    "page.colours": ("Colours", "配色"),
    "colours.auto": ("as the system", "跟随系统"),
    "colours.light": ("light", "浅色"),
    "colours.dark": ("dark", "深色"),
    "page.problem": ("The gateway: {problem}", "网关：{problem}"),
    "page.none": ("There is no device {name}.", "没有设备 {name}。"),
    "page.skip": ("To the content", "跳到内容"),
    "fleet.search": ("Search", "搜索"),
    "fleet.all": ("all", "全部"),
    "fleet.count": (
        "{shown} of {count} devices, {connected} connected",
        "{count} 台设备中的 {shown} 台，{connected} 台在线",
    ),
    "col.name": ("Device", "设备"),
    "col.state": ("State", "状态"),
    "col.seen": ("Heard", "最近联系"),
    "col.route": ("Route", "路由"),
    "col.age": ("Age p99", "延迟 p99"),
    "col.cpu": ("CPU", "CPU"),
    "col.temperature": ("Temperature", "温度"),
    "col.spool": ("Spool", "缓存队列"),
    "col.version": ("Version", "版本"),
    "col.bundle": ("Bundle", "模型包"),
    "col.alarms": ("Alarms", "告警"),
    "col.at": ("When", "时间"),
    "col.who": ("Who", "操作者"),
    "col.setting": ("Setting", "设置"),
    "col.old": ("Before", "原值"),
    "col.new": ("After", "新值"),
    "col.outcome": ("Outcome", "结果"),
    "col.from": ("From", "从"),
    "col.to": ("To", "到"),
    "col.reason": ("Reason", "原因"),
    "table.empty": ("nothing", "无"),
    "state.connected": ("connected", "在线"),
    "state.silent": ("not heard", "无心跳"),
    "state.away": ("away", "离线"),
    "seen.never": ("never", "从未"),
    "alarm.silent": ("not heard", "无心跳"),
    "alarm.error": ("error", "错误"),
    "alarm.cut": ("link down", "链路中断"),
    "alarm.privacy": ("privacy gate closed", "隐私闸门关闭"),
    "alarm.dropped": ("packets dropped", "丢弃数据包"),
    "alarm.throttled": ("throttled", "降频"),
    "alarm.warn": ("warning", "警告"),
    "chart.age": ("Age of results", "结果延迟"),
    "chart.route": ("Routes", "路由占比"),
    "chart.rtt": ("Round trip", "往返时间"),
    "chart.spool": ("Packets in the spool", "缓存队列中的数据包"),
    "chart.packets": ("packets", "数据包"),
    "chart.load": ("Load", "负载"),
    "chart.temperature": ("Temperature", "温度"),
    "chart.cut": ("link down", "链路中断"),
    "chart.cut_from": ("link down {begin} to {end}", "链路中断 {begin} 至 {end}"),
    "setting.taken": ("On the device: {value}", "设备已采用：{value}"),
    "setting.refused": ("Refused by the device: {reason}", "设备拒绝：{reason}"),
    "setting.asked": ("Asked for: {value}", "已请求：{value}"),
    "device.switches": ("Switches", "路由切换"),
    "device.settings": ("Live settings", "实时设置"),
    "device.apply": ("Apply", "应用"),
    "device.undo": ("Undo", "撤销"),
    "device.applied": ("Asked of the device.", "已发送到设备。"),
    "device.kept": ("Kept until the device connects.", "已保存，设备连接后生效。"),
    "device.viewer": (
        "A viewer sees these settings; an operator may change them.",
        "查看者只能查看，操作员可以修改。",
    ),
    "gateway.frames": ("Frames answered", "已答复的帧"),
    "gateway.requests": ("Inferences", "推理次数"),
    "gateway.sessions": ("Sessions", "会话"),
    "gateway.cpu": ("Processor of the gateway", "网关处理器"),
    "gateway.memory": ("Memory of the gateway", "网关内存"),
    "gateway.cost": ("Cost since its start", "启动以来的成本"),
    "gateway.model": ("Model {name}", "模型 {name}"),
    "gateway.batch": ("batch {size}", "批量 {size}"),
    "gateway.queued": ("{count} waiting", "{count} 等待"),
    "gateway.gpu": ("GPU {name}", "GPU {name}"),
    "preview.try": ("Preview", "预览"),
    "preview.title": (
        "What each policy would have done in the last {seconds} s",
        "各策略在过去 {seconds} 秒内会如何决策",
    ),
    "preview.nothing": ("Nothing is changed.", "没有改动。"),
    "preview.other": (
        "A preview knows the parameters of scheduling only.",
        "预览仅支持调度参数。",
    ),
    "preview.few": (
        "The device has told too little yet; again in some seconds.",
        "设备上报的数据还不够，请稍后再试。",
    ),
    "preview.busy": ("Others wait for previews; again in a moment.", "预览任务较多，请稍后再试。"),
    "preview.slow": ("It took too long.", "计算超时。"),
    "col.policy": ("Policy", "策略"),
    "col.local": ("Local", "本地"),
    "col.cloud": ("Cloud", "云端"),
    "col.in_time": ("In time", "按时"),
    "col.switches": ("Switches", "切换"),
    "device.other": (
        "You may not do this any more; load the page again.",
        "您已无权执行此操作，请重新加载页面。",
    ),
    "fact.route": ("Route", "路由"),
    "fact.age": ("Age of results p50 / p99", "结果延迟 p50 / p99"),
    "fact.model_local": ("Model on the device p50 / p99", "端侧模型 p50 / p99"),
    "fact.model_cloud": ("Model at the gateway p50 / p99", "云端模型 p50 / p99"),
    "fact.rtt": ("Round trip", "往返时间"),
    "fact.loss": ("Loss", "丢包率"),
    "fact.goodput": ("Goodput", "有效吞吐"),
    "fact.spool": ("Packets in the spool", "缓存队列"),
    "fact.temperature": ("Temperature", "温度"),
    "fact.codec": ("Codec", "编码"),
    "fact.bundle": ("Bundle", "模型包"),
    "fact.version": ("Version", "版本"),
}


def text(key: str, language: str, **values: Any) -> str:
    """The text of this name; KeyError for one that there is not."""
    found = _TEXTS[key][LANGUAGES.index(language)]
    return found.format(**values) if values else found


def language_of(accepted: str) -> str:
    """The language for an Accept-Language header (RFC 9110, 12.5.4): the first that we have."""
    for entry in accepted.lower().split(","):
        tag = entry.split(";", 1)[0].strip().split("-", 1)[0]
        if tag in LANGUAGES:
            return tag
    return "en"
