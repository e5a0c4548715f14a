// Swagger UI has no language but English: what stands on it, not in the API's document, is replaced word by word.
(() => {
  const words = {
    "Servers": "服务器", "Authorize": "授权", "Available authorizations": "授权", "Value:": "密钥：", "Close": "关闭",
    "Logout": "退出", "Authorized": "已授权", "Parameters": "参数", "No parameters": "无参数", "Try it out": "试一试",
    "Cancel": "取消", "Reset": "重置", "Execute": "发送", "Clear": "清除", "Name": "名称", "Description": "说明",
    "Request body": "请求体", "required": "必填", "Responses": "应答", "Code": "状态码", "Details": "详情",
    "Media type": "媒体类型", "Examples": "示例", "Example Value": "示例", "Example": "示例", "Schema": "格式",
    "Headers:": "响应头：", "Type": "类型", "Server response": "服务器应答", "Response body": "应答体",
    "Response headers": "应答头", "Request URL": "请求地址", "Download": "下载", "Schemas": "数据格式",
    "Deprecated": "不再推荐", "Warning: Deprecated": "注意：不再推荐使用", "Controls ": "即 ", " header.": " 请求头。",
    "Expand all": "全部展开", "Collapse all": "全部收起", "Loading...": "加载中……", "Undocumented": "未列出",
    "Send empty value": "发送空值", "Copy to clipboard": "复制", "Expected": "应为",
  };
  const leave = "pre, code, input, textarea, .renderedMarkdown, .json-schema-2020-12-property, .json-schema-2020-12__title";
  const translate = (node) => {
    if (node.nodeType === Node.TEXT_NODE) {
      const word = words[node.data] ?? words[node.data.trim()];
      if (word !== undefined && !node.parentElement?.closest(leave)) node.data = word;
    } else {
      node.childNodes.forEach(translate);
    }
  };
  new MutationObserver((changes) => {
    for (const change of changes) {
      if (change.type === "characterData") translate(change.target);
      change.addedNodes.forEach(translate);
    }
  }).observe(document.getElementById("swagger-ui"), { childList: true, subtree: true, characterData: true });
})();
