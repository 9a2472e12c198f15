-- A proposed patch as texts: what a person makes of it, and the answer that says so. Pure: lines
-- in, lines out; windows are elsewhere.

local M = {}

--- Lines from `a0` to before `a1` of the old text, counted from 0, and the lines `b0` to before
--- `b1` of the new one.
---@class codex.approval.Span
---@field a0 integer
---@field a1 integer
---@field b0 integer
---@field b1 integer

--- A part of the patch in the text that the person has made of it: lines `first` to before `last`,
--- and the lines of the old and of the new text that they stand for.
---@class codex.approval.Part
---@field first integer
---@field last integer
---@field state 'taken'|'left out'|'edited'
---@field old string[]
---@field new string[]

---@class codex.approval.Page one file of a patch
---@field path string as in the request
---@field name string
---@field old string[]? lines; nil: the file is not shown
---@field new string[]?
---@field newline string
---@field has_end boolean whether the last line has an end
---@field is_add boolean
---@field is_delete boolean
---@field move_path string?
---@field announced codex.approval.Span[] the hunks of the announced diff, with their context
---@field spans codex.approval.Span[] what is different between old and new

---@param text string?
---@return string[] lines, boolean has_end
local function split(text)
  if not text or text == '' then
    return {}, true
  end
  local lines = vim.split(text, '\n', { plain = true })
  local has_end = lines[#lines] == ''
  if has_end then
    table.remove(lines)
  end
  return lines, has_end
end

--- Whether every line ends as on DOS.
---@param ... string[]
local function is_dos(...)
  local some = false
  for _, lines in ipairs({ ... }) do
    for _, line in ipairs(lines) do
      if line:sub(-1) ~= '\r' then
        return false
      end
      some = true
    end
  end
  return some
end

---@param lines string[]
local function without_returns(lines)
  return vim.tbl_map(function(line)
    return (line:gsub('\r$', ''))
  end, lines)
end

---@param lines string[]
---@return string
local function joined(lines)
  return #lines == 0 and '' or table.concat(lines, '\n') .. '\n'
end

--- What is different between two texts.
---@param old string[]
---@param new string[]
---@return codex.approval.Span[]
function M.spans(old, new)
  local diff = vim.text and vim.text.diff or vim.diff
  local spans = {}
  for _, found in ipairs(diff(joined(old), joined(new), { result_type = 'indices' })) do
    local a, a_count, b, b_count = unpack(found)
    -- Of nothing the line before is told.
    local a0 = a_count == 0 and a or a - 1
    local b0 = b_count == 0 and b or b - 1
    table.insert(spans, { a0 = a0, a1 = a0 + a_count, b0 = b0, b1 = b0 + b_count })
  end
  return spans
end

--- The hunks of a unified diff, as lines of the old text.
---@param unified_diff string
---@return codex.approval.Span[]
function M.announced(unified_diff)
  local spans = {}
  for line in vim.gsplit(unified_diff, '\n', { plain = true }) do
    local a, a_count, b, b_count = line:match('^@@ %-(%d+),?(%d*) %+(%d+),?(%d*) @@')
    if a then
      a_count, b_count = tonumber(a_count) or 1, tonumber(b_count) or 1
      local a0 = a_count == 0 and tonumber(a) or tonumber(a) - 1
      local b0 = b_count == 0 and tonumber(b) or tonumber(b) - 1
      table.insert(spans, { a0 = a0, a1 = a0 + a_count, b0 = b0, b1 = b0 + b_count })
    end
  end
  return spans
end

--- The files of a request, by name.
---@param msg table
---@return codex.approval.Page[]
function M.pages(msg)
  local pages = {}
  for path, change in vim.spairs(msg.changes) do
    local update = type(change) == 'table' and change.update or nil
    local page = {
      path = path,
      name = vim.fn.fnamemodify(path, ':~:.'),
      is_delete = change == 'delete',
      is_add = type(change) == 'table' and change.add ~= nil,
      move_path = update and update.move_path or nil,
      announced = update and M.announced(update.unified_diff) or {},
      change = change,
      newline = '\n',
      spans = {},
    }
    local file = (msg.files or {})[path]
    if file then
      local old, old_end = split(file.old_text)
      local new, new_end = split(file.new_text)
      page.has_end = new_end
      if #new == 0 then
        page.has_end = old_end
      end
      if is_dos(old, new) then
        page.newline = '\r\n'
        old, new = without_returns(old), without_returns(new)
      end
      page.old, page.new, page.spans = old, new, M.spans(old, new)
    end
    table.insert(pages, page)
  end
  return pages
end

--- Where a part of the patch is in the text that the person has made of it.
---@param page codex.approval.Page
---@param span codex.approval.Span
---@param lines string[]
---@param made codex.approval.Span[]? `M.spans(page.old, lines)`, if it is known
---@return codex.approval.Part
function M.locate(page, span, lines, made)
  local a0, a1, shift, grows = span.a0, span.a1, 0, 0
  local touched = false
  for _, change in ipairs(made or M.spans(page.old, lines)) do
    local more = (change.b1 - change.b0) - (change.a1 - change.a0)
    if change.a1 < span.a0 then
      shift = shift + more
    elseif change.a0 <= span.a1 then
      touched = true
      grows = grows + more
      a0, a1 = math.min(a0, change.a0), math.max(a1, change.a1)
    end
  end
  local old = vim.list_slice(page.old, a0 + 1, a1)
  local new = vim.list_slice(page.old, a0 + 1, span.a0)
  vim.list_extend(new, page.new, span.b0 + 1, span.b1)
  vim.list_extend(new, page.old, span.a1 + 1, a1)
  local first = a0 + shift
  local last = a1 + shift + grows
  local state = 'left out'
  if touched then
    local is_new = vim.deep_equal(new, vim.list_slice(lines, first + 1, last))
    state = is_new and 'taken' or 'edited'
  end
  return { first = first, last = last, state = state, old = old, new = new }
end

--- The old text with only some of the announced hunks.
---@param page codex.approval.Page
---@param wanted table<integer, boolean> by index, from 0
---@return string[]
local function with_hunks(page, wanted)
  local lines, at = {}, 0
  for i, hunk in ipairs(page.announced) do
    vim.list_extend(lines, page.old, at + 1, hunk.a0)
    if wanted[i - 1] then
      vim.list_extend(lines, page.new, hunk.b0 + 1, hunk.b1)
    else
      vim.list_extend(lines, page.old, hunk.a0 + 1, hunk.a1)
    end
    at = hunk.a1
  end
  return vim.list_extend(lines, page.old, at + 1, #page.old)
end

--- The announced hunks that a text has; nil if it is none of their combinations.
---@param page codex.approval.Page
---@param lines string[]
---@return integer[]?
local function hunks_of(page, lines)
  if page.is_add or page.is_delete or vim.deep_equal(lines, page.old) then
    -- What is announced as a whole is taken or left as a whole.
    local left = page.is_add and #lines == 0 or not page.is_add and vim.deep_equal(lines, page.old)
    return left and {} or nil
  end
  local wanted, list = {}, {}
  local made = M.spans(page.old, lines)
  for i, hunk in ipairs(page.announced) do
    for _, change in ipairs(made) do
      if change.a0 <= hunk.a1 and change.a1 >= hunk.a0 and not wanted[i - 1] then
        wanted[i - 1] = true
        table.insert(list, i - 1)
      end
    end
  end
  return vim.deep_equal(with_hunks(page, wanted), lines) and list or nil
end

--- The answer that says what a person has made of a patch.
---@param pages codex.approval.Page[]
---@param made table<string, string[]> lines by path, of those files that are shown
---@return codex.Decision decision
---@return {edited: table<string, string>?, hunks: table<string, integer[]>?} extra
function M.answer(pages, made)
  local edited, hunks, remains = {}, {}, false
  for _, page in ipairs(pages) do
    local lines = made[page.path]
    if not lines or vim.deep_equal(lines, page.new) then
      remains = true
    else
      local wanted = hunks_of(page, lines)
      if wanted then
        hunks[page.path] = wanted
        remains = remains or #wanted > 0
      else
        local text = table.concat(lines, page.newline)
        edited[page.path] = #lines > 0 and page.has_end and text .. page.newline or text
        remains = true
      end
    end
  end
  if not remains then
    return 'denied', {}
  end
  return 'approved',
    {
      edited = next(edited) and edited or nil,
      hunks = next(hunks) and hunks or nil,
    }
end

return M
