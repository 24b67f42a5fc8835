//! From the words of a filter to its tree.
//!
//! Owns precedence, types and limits. Invariant: each level of recursion takes one from a fixed depth.

use super::{
    error::{FilterError, MAX_CLAUSES, MAX_DEPTH, MAX_LENGTH, Mistake},
    expression::{Comparison, Expression},
    functions::Function,
    lexer::{Lexer, Token},
    types::Type,
};

/// What is wrong, and where, in bytes.
type Failure = (usize, Mistake);

pub(super) fn parse(text: &str) -> Result<Expression, FilterError> {
    let failed = |(at, what): Failure| FilterError {
        position: 1 + text.get(..at).map_or(0, |before| before.chars().count()),
        what,
    };
    if text.len() > MAX_LENGTH {
        return Err(failed((0, Mistake::TooLong)));
    }
    let mut parser = Parser::new(text).map_err(failed)?;
    parser.filter().map_err(failed)
}

struct Parser<'a> {
    lexer: Lexer<'a>,
    /// The token that comes next, and where it begins.
    next: (usize, Token<'a>),
    depth: usize,
    clauses: usize,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str) -> Result<Self, Failure> {
        let mut lexer = Lexer::new(text);
        Ok(Self {
            next: lexer.next()?,
            lexer,
            depth: 0,
            clauses: 0,
        })
    }

    fn filter(&mut self) -> Result<Expression, Failure> {
        let condition = self.condition(Self::or)?;
        match self.next {
            (_, Token::End) if condition.kind() == Type::Bool => Ok(condition),
            (_, Token::End) => {
                let (expected, found) = ("a condition", condition.kind());
                Err((0, Mistake::Type { expected, found }))
            }
            (at, _) => Err((at, Mistake::Expected("an operator, or the end"))),
        }
    }

    fn or(&mut self) -> Result<Expression, Failure> {
        self.chain("or", Self::and, Expression::Or)
    }

    fn and(&mut self) -> Result<Expression, Failure> {
        self.chain("and", Self::comparison, Expression::And)
    }

    /// One operand, or several with an operator between them.
    fn chain(
        &mut self,
        operator: &str,
        operand: fn(&mut Self) -> Result<Expression, Failure>,
        join: fn(Vec<Expression>) -> Expression,
    ) -> Result<Expression, Failure> {
        let at = self.next.0;
        let first = operand(self)?;
        if !self.is_at(operator) {
            return Ok(first);
        }
        check(at, &first, Type::Bool)?;
        let mut operands = vec![first];
        while self.take(operator)? {
            operands.push(self.condition(operand)?);
        }
        Ok(join(operands))
    }

    fn condition(
        &mut self,
        part: fn(&mut Self) -> Result<Expression, Failure>,
    ) -> Result<Expression, Failure> {
        let at = self.next.0;
        let condition = part(self)?;
        check(at, &condition, Type::Bool)?;
        Ok(condition)
    }

    fn comparison(&mut self) -> Result<Expression, Failure> {
        let mut left = self.unary()?;
        while let (at, Token::Word(word)) = self.next
            && let Some(comparison) = Comparison::named(word)
        {
            self.advance()?;
            self.count_clause(at)?;
            let right = self.unary()?;
            let (one, other) = (left.kind(), right.kind());
            if !comparison.fits(one, other) {
                return Err((at, Mistake::Compare(one, other)));
            }
            left = Expression::Compare(comparison, Box::new([left, right]));
        }
        Ok(left)
    }

    fn unary(&mut self) -> Result<Expression, Failure> {
        if self.take("not")? {
            let of = self.nested(|parser| parser.condition(Self::unary))?;
            return Ok(Expression::Not(Box::new(of)));
        }
        let at = self.next.0;
        let value = self.primary()?;
        let operator = self.next.0;
        if !self.take("in")? {
            return Ok(value);
        }
        self.count_clause(operator)?;
        if self.take("groups")? {
            check(at, &value, Type::Text)?;
            return Ok(Expression::InGroups(Box::new(value)));
        }
        self.in_list(operator, value)
    }

    fn in_list(&mut self, operator: usize, value: Expression) -> Result<Expression, Failure> {
        if self.next.1 != Token::Open {
            return Err((
                self.next.0,
                Mistake::Expected("groups, or a list in parentheses"),
            ));
        }
        let list = self.list()?;
        if list.is_empty() {
            return Err((operator, Mistake::Expected("a value in the list")));
        }
        for (at, item) in &list {
            let (one, other) = (value.kind(), item.kind());
            if !Comparison::Eq.fits(one, other) {
                return Err((*at, Mistake::Compare(one, other)));
            }
        }
        Ok(Expression::In(Box::new(value), values(list)))
    }

    fn primary(&mut self) -> Result<Expression, Failure> {
        let at = self.next.0;
        let token = self.advance()?;
        match token {
            Token::Text(text) => Ok(Expression::Text(text)),
            Token::Int(number) => Ok(Expression::Int(number)),
            Token::Open => {
                let inner = self.nested(Self::or)?;
                self.close()?;
                Ok(inner)
            }
            Token::Word(word) if self.next.1 == Token::Open => self.call(at, word),
            Token::Word(word) => property_or_literal(word).ok_or((at, Mistake::UnknownProperty)),
            _ => Err((at, Mistake::Expected("a value"))),
        }
    }

    fn call(&mut self, at: usize, name: &str) -> Result<Expression, Failure> {
        let function = Function::named(name).ok_or((at, Mistake::UnknownFunction))?;
        if function.result() == Type::Bool {
            self.count_clause(at)?;
        }
        let arguments = self.list()?;
        let types = function.arguments();
        let may_lack = usize::from(function == Function::Substring);
        if arguments.len() > types.len() || arguments.len() + may_lack < types.len() {
            return Err((at, Mistake::ArgumentCount));
        }
        for ((at, argument), expected) in arguments.iter().zip(types) {
            let is_groups = function == Function::Length && argument.kind() == Type::Groups;
            if !is_groups {
                check(*at, argument, *expected)?;
            }
        }
        Ok(Expression::Call(function, values(arguments)))
    }

    /// Values in parentheses, with commas between them, and where each begins.
    fn list(&mut self) -> Result<Vec<(usize, Expression)>, Failure> {
        self.advance()?;
        let mut list = Vec::new();
        if self.next.1 == Token::Close {
            self.advance()?;
            return Ok(list);
        }
        loop {
            let at = self.next.0;
            list.push((at, self.nested(Self::or)?));
            if self.next.1 != Token::Comma {
                self.close()?;
                return Ok(list);
            }
            self.advance()?;
        }
    }

    /// What stands within something else.
    fn nested(
        &mut self,
        part: impl FnOnce(&mut Self) -> Result<Expression, Failure>,
    ) -> Result<Expression, Failure> {
        if self.depth == MAX_DEPTH {
            return Err((self.next.0, Mistake::TooDeep));
        }
        self.depth += 1;
        let parsed = part(self);
        self.depth -= 1;
        parsed
    }

    fn count_clause(&mut self, at: usize) -> Result<(), Failure> {
        self.clauses += 1;
        if self.clauses > MAX_CLAUSES {
            return Err((at, Mistake::TooManyClauses));
        }
        Ok(())
    }

    fn close(&mut self) -> Result<(), Failure> {
        match self.next {
            (_, Token::Close) => self.advance().map(drop),
            (at, _) => Err((
                at,
                Mistake::Expected("an operator or a closing parenthesis"),
            )),
        }
    }

    fn is_at(&self, keyword: &str) -> bool {
        matches!(self.next.1, Token::Word(word) if word.eq_ignore_ascii_case(keyword))
    }

    fn take(&mut self, keyword: &str) -> Result<bool, Failure> {
        let is_at = self.is_at(keyword);
        if is_at {
            self.advance()?;
        }
        Ok(is_at)
    }

    fn advance(&mut self) -> Result<Token<'a>, Failure> {
        let next = self.lexer.next()?;
        Ok(std::mem::replace(&mut self.next, next).1)
    }
}

fn values(list: Vec<(usize, Expression)>) -> Vec<Expression> {
    list.into_iter().map(|(_, value)| value).collect()
}

/// Whether an expression has a type, or is `null`.
fn check(at: usize, expression: &Expression, expected: Type) -> Result<(), Failure> {
    let found = expression.kind();
    if found == expected || found == Type::Null {
        return Ok(());
    }
    let expected = match expected {
        Type::Bool => "a condition",
        Type::Int => "a number",
        _ => "text",
    };
    Err((at, Mistake::Type { expected, found }))
}

fn property_or_literal(word: &str) -> Option<Expression> {
    Some(match &*word.to_ascii_lowercase() {
        "null" => Expression::Null,
        "true" => Expression::Bool(true),
        "false" => Expression::Bool(false),
        "userid" => Expression::UserId,
        "connectionid" => Expression::ConnectionId,
        "protocol" => Expression::Protocol,
        "groups" => Expression::Groups,
        _ => return None,
    })
}
